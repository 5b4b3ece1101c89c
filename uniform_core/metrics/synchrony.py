"""Synchrony: wins of a clip's own sound over that of same-class partners, under an audio-visual similarity net."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64

from uniform_core.metrics.base import LABELS, Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.features import uneven
from uniform_core.metrics.pair_wins import Against, PairWins, pair_wins
from uniform_core.metrics.permutation import within_class_p
from uniform_core.metrics.protocol import Protocol

VIDEO_LAYER, AUDIO_LAYER = "video_embedding", "audio_embedding"


class SynchronyConfig(MetricConfig):
    """Pair wins: 0.5 is chance, whatever the class. Similarity is the dot product of the two towers' embeddings.

    `p` is that of the clips' own similarities against those of partners exchanged within each class.
    """

    kind: Literal["synchrony"] = "synchrony"
    against: Against = "both"

    min_items = 2

    @classmethod
    def example(cls) -> SynchronyConfig:
        return cls(protocol=Protocol(name="example", extractor="example", layer="embedding"))

    @property
    def metric(self) -> str:
        return "synchrony"

    @property
    def needs(self) -> tuple[Need, ...]:
        towers = (Need(Side.GENERATED, self.protocol.extractor, layer) for layer in (VIDEO_LAYER, AUDIO_LAYER))
        return (*towers, LABELS)

    def measure(self, inputs: Inputs) -> Measured | str:
        if (problem := uneven(*(inputs[need] for need in self.needs[:2]))) is not None:
            return problem
        wins = self._wins(inputs)
        if wins is None:
            return f"none of {len(inputs[LABELS])} clips has another clip of its class"
        p = within_class_p(self._similarity(inputs), inputs[LABELS].texts())
        lonely = len(inputs[LABELS]) - wins.n
        warnings = (f"{lonely} clips without a partner of their class were left out",) if lonely else ()
        return Measured(wins.mean, wins.low, wins.high, n_generated=wins.n, n_reference=0, warnings=warnings, p=p)

    def clip_values(self, inputs: Inputs) -> dict[str, float]:
        wins = self._wins(inputs)
        if wins is None:
            return {}
        return {k: float(v) for k, v in zip(inputs[LABELS].keys, wins.clips_N, strict=True) if np.isfinite(v)}

    def _wins(self, inputs: Inputs) -> PairWins | None:
        return pair_wins(self._similarity(inputs), inputs[LABELS].texts(), against=self.against)

    def _similarity(self, inputs: Inputs) -> Float64[np.ndarray, "n n"]:
        """[i, j]: how well picture i goes with sound j."""
        video_ND, audio_ND = (inputs[need].matrix_ND() for need in self.needs[:2])
        return np.asarray(video_ND @ audio_ND.T)
