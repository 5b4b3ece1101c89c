"""What is asked of a generator and what it gives.

Axes: B batch, C channels, T time, H height, W width, F latent mel bins, N audio samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from uniform_core.errors import ConfigError
from uniform_core.types import Modality, Task


@dataclass(frozen=True, eq=False)
class Given:
    """A modality that is there already: its raw latent (no batch axis), and the media itself, which is handed on.

    `media` is uint8 [T, H, W, 3] for video, float32 [N] in [-1, 1] for sound.
    """

    modality: Modality
    raw: Tensor
    media: np.ndarray


@dataclass(frozen=True, eq=False)
class GenerationRequest:
    """One clip to be made. `caption` None (or "") is without text. `seed` alone decides its noise.

    Raises ConfigError where the given modality is not the one that the task takes.
    """

    request_id: str
    task: Task
    seed: int
    caption: str | None = None
    given: Given | None = None

    def __post_init__(self) -> None:
        wanted, found = self.task.given, self.given.modality if self.given else None
        if wanted is not found:
            raise ConfigError(
                f"request {self.request_id}",
                expected=f"{wanted.value if wanted else 'nothing'} given for task {self.task.value}",
                found=found.value if found else "nothing",
                fix="v2a takes a video, a2v a sound, t2av only a text.",
            )


@dataclass(frozen=True, eq=False)
class GeneratedClip:
    """A clip with its sound: `video_THWC` uint8, `waveform_N` float32 in [-1, 1]. A given modality is as it came."""

    request_id: str
    video_THWC: np.ndarray
    waveform_N: np.ndarray
