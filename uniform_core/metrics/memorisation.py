"""Memorisation: are generated clips nearer to training clips than clips that the model never saw?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64

from uniform_core.metrics.base import LABELS_OF, MEMORY, ClipValues, Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.intervals import wilson_interval
from uniform_core.metrics.layers import SKETCH_LAYER, SKETCHES
from uniform_core.metrics.protocol import Protocol
from uniform_core.types import Fraction, Modality

LEAST_REACH = 4.0  # normal deviations that a whole set of copies must be able to stand out by
COMPARED = (Side.GENERATED, Side.HELD_OUT)


class MemorisationConfig(MetricConfig):
    """Distances to the nearest training clip, minimal over shifts in time, of generated and of held-out clips.

    `copying_z`: the three-sample test of Meehan et al. 2020, the normal score of the Mann-Whitney statistic; the least
    of all classes and of all clips together. Below 0, generated clips are nearer to training than held-out ones.
    `copied_share`: the share of generated clips nearer than the `percentile` of held-out ones, estimated so that of
    other held-out clips just that share is expected below it (NumPy's default: half as many again at n 192).
    Held-out clips have been through the codecs, as generated ones have.
    """

    version = 2

    kind: Literal["memorisation"] = "memorisation"
    word: Literal["copying_z", "copied_share"] = "copying_z"
    percentile: Fraction = 0.01

    min_items = 2

    @classmethod
    def example(cls) -> MemorisationConfig:
        return cls(
            protocol=Protocol(name="example", extractor="videosketch", layer=SKETCH_LAYER, judges=Modality.VIDEO)
        )

    @property
    def metric(self) -> str:
        return self.word

    @property
    def modality(self) -> Modality:
        """The modality whose sketches are compared."""
        return SKETCHES[self.protocol.extractor]

    @property
    def needs(self) -> tuple[Need, ...]:
        return (
            *(Need(side, MEMORY, self.modality.value) for side in COMPARED),
            *(LABELS_OF[side] for side in COMPARED),
        )

    @property
    def features(self) -> tuple[Need, ...]:
        """What the distances are made of: sketches of the generated, the held-out and the training clips."""
        return tuple(Need(side, self.protocol.extractor, self.protocol.layer) for side in (*COMPARED, Side.TRAINED))

    def measure(self, inputs: Inputs) -> Measured | str:
        generated, held_out, labels, held_out_labels = (inputs[need] for need in self.needs)
        ours_N, theirs_M = generated.matrix_ND()[:, 0], held_out.matrix_ND()[:, 0]
        n, m = len(ours_N), len(theirs_M)
        if self.word == "copied_share":
            share = float((ours_N < np.quantile(theirs_M, self.percentile, method="weibull")).mean())
            low, high = wilson_interval(share, n_effective=n)
            return Measured(share, low, high, n_generated=n, n_reference=m)
        furthest = float(np.sqrt(3.0 * n * m / (n + m + 1)))  # from 0, where every clip is a copy
        if furthest < LEAST_REACH:
            return f"{n} against {m} clips: if all were copies, z would be −{furthest:.1f}, too near to chance"
        of_class = {
            label: (ours_N[_is(labels.texts(), label)], theirs_M[_is(held_out_labels.texts(), label)])
            for label in sorted({*labels.texts()} & {*held_out_labels.texts()})
        }
        scores = [rank_z(ours_N, theirs_M)]
        scores += [rank_z(ours, theirs) for ours, theirs in of_class.values() if min(len(ours), len(theirs)) > 1]
        return Measured(min(scores), None, None, n_generated=n, n_reference=m)

    @property
    def by_clip(self) -> bool:
        """The two words stand on the same distances: one of them keeps them."""
        return self.word == "copied_share"

    def clip_measures(self, inputs: Inputs) -> tuple[ClipValues, ...]:
        """The distance of each generated clip to the nearest one that was trained on."""
        if not self.by_clip:
            return ()
        generated = inputs[self.needs[0]]
        distances = dict(zip(generated.keys, generated.matrix_ND()[:, 0].tolist(), strict=True))
        return (ClipValues(self.named("nearest_trained"), distances),)


def rank_z(first_N: Float64[np.ndarray, "N"], second_M: Float64[np.ndarray, "M"]) -> float:
    """The Mann-Whitney statistic of two samples as a normal score, ties by halves; below 0 where the first is smaller.

    0 where all values are equal.
    """
    from scipy.stats import rankdata  # here: half a second that `uniform plan` does not need

    n, m = len(first_N), len(second_M)
    ranks = rankdata(np.concatenate([first_N, second_M]))
    wins = float(ranks[:n].sum()) - n * (n + 1) / 2
    _, counts = np.unique(ranks, return_counts=True)
    ties = float((counts.astype(np.float64) ** 3 - counts).sum())
    variance = n * m / 12.0 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    return (wins - n * m / 2.0) / float(np.sqrt(variance)) if variance > 0 else 0.0


def _is(texts: tuple[str, ...], label: str) -> np.ndarray:
    return np.asarray(np.array(texts) == label)
