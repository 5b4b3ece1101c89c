"""Whether picture and sound of a clip belong together, and how far apart they are: what a filter of clips can ask.

Axes: N clips, S steps of time, D features, K offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from jaxtyping import Float

from uniform_core.fingerprint import digest
from uniform_core.metrics.extractors import EvalBatch
from uniform_core.metrics.nets import SyncNet
from uniform_core.metrics.trained import TrainedNet, synchrony_embeddings

VERSION: Final = 1
MAX_OFFSET_S: Final = 0.5
"""Offsets up to here are compared, or up to where half the clip still overlaps."""
NEIGHBOURS: Final = 1
"""So many steps beside the best offset share its agreement, and are not what it is compared with."""


@dataclass(frozen=True)
class Screened:
    """The columns of the table `screens` that say something of a clip, by the same names and in the same units."""

    av_offset_s: float  # by how much the sound comes after the picture where they agree best
    on_screen: float  # by how much they agree there more than elsewhere: 0 to 2
    n: int  # offsets that were compared


class Screener(Protocol):
    """Something that looks at clips and listens to them. `fingerprint` names what it is: weights and parameters."""

    @property
    def name(self) -> str:
        """Its name in the table `screens`."""

    @property
    def fingerprint(self) -> str:
        """32 hex digits."""

    def screen(self, batch: EvalBatch) -> Sequence[Screened]:
        """What it says of each clip, in order; of a clip the same whatever stands beside it."""


@dataclass(frozen=True)
class TinySyncScreener:
    """By the two towers of the small synchrony net, whose steps are the frames of the picture."""

    net: TrainedNet[SyncNet]
    max_offset_s: float = MAX_OFFSET_S
    name: str = "tinysync"

    @property
    def fingerprint(self) -> str:
        return digest(["screener", self.name, VERSION, self.max_offset_s, self.net.fingerprint])

    def screen(self, batch: EvalBatch) -> list[Screened]:
        steps = batch.frames_BTHW3.shape[1]
        both = synchrony_embeddings(self.net.module, batch.frames_BTHW3, batch.mel_BTF)
        video_NSD, audio_NSD = (steps**0.5 * flat_Nd.reshape(len(batch), steps, -1) for flat_Nd in both)
        step_s = 1 / float(batch.video_rate_hz)
        return [
            screened(video_SD, audio_SD, step_s=step_s, max_offset_s=self.max_offset_s)
            for video_SD, audio_SD in zip(video_NSD, audio_NSD, strict=True)
        ]


def screened(
    video_SD: Float[np.ndarray, "S D"], audio_SD: Float[np.ndarray, "S D"], *, step_s: float, max_offset_s: float
) -> Screened:
    """What unit vectors of picture and sound on one time grid say. Of offsets that agree alike the smallest is best."""
    most = min(int(max_offset_s / step_s + 1e-9), len(video_SD) // 2)
    offsets_K = sorted(range(-most, most + 1), key=abs)
    agreement_K = np.array([_agreement(video_SD, audio_SD, offset) for offset in offsets_K], dtype=np.float64)
    best = int(np.argmax(np.round(agreement_K, 6)))
    others_K = agreement_K[np.abs(np.array(offsets_K) - offsets_K[best]) > NEIGHBOURS]
    stands_out = float(agreement_K[best] - others_K.mean()) if len(others_K) else 0.0
    return Screened(av_offset_s=offsets_K[best] * step_s, on_screen=max(0.0, stands_out), n=len(offsets_K))


def _agreement(video_SD: np.ndarray, audio_SD: np.ndarray, offset: int) -> float:
    """The mean agreement of the picture with the sound so many steps later, over the steps that have both."""
    steps = len(video_SD) - abs(offset)
    seen_SD, heard_SD = video_SD[max(0, -offset) :][:steps], audio_SD[max(0, offset) :][:steps]
    return float((seen_SD.astype(np.float64) * heard_SD).sum(axis=1).mean())
