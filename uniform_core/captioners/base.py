"""What a captioner is: it looks at clips and says one text for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from uniform_core.families import Member

CaptionStatus = Literal["success", "truncated", "refused", "empty", "error"]


@dataclass(frozen=True)
class CaptionInput:
    """What a captioner may look at. `frames_THWC` (uint8) is given only to captioners that ask for frames."""

    clip_id: str
    label: str | None
    source_caption: str | None
    frames_THWC: np.ndarray | None = None
    frame_indices: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CaptionResult:
    """What was said. `text` is None exactly where `status` is `empty` or `error`; then `message` says why."""

    status: CaptionStatus
    text: str | None = None
    message: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish_reason: str | None = None


class Captioner(ABC):
    """A captioner ready to work: loaded once per worker."""

    @abstractmethod
    def caption(self, inputs: Sequence[CaptionInput]) -> list[CaptionResult]:
        """One result for each input, in order."""


class CaptionerConfig(Member):
    """Which captioner, and how it is asked."""

    frames: int = 0  # how many frames it looks at, spread evenly; 0 for none

    @property
    @abstractmethod
    def revision(self) -> str:
        """Model id and revision, or the version of the rule."""

    @property
    def prompt(self) -> str | None:
        """The prompt, where the captioner has one."""
        return None

    @abstractmethod
    def build(self) -> Captioner:
        """The captioner, loaded."""
