"""What a captioner is: it looks at clips and says one text for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import field_validator

from uniform_core.families import Member
from uniform_core.types import NonNegative

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
    """What was said. `text` is None exactly where `status` is `empty` or `error`; then `message` says why.

    Raises ValueError for a result that breaks this: a caption without words would pass for the null text.
    """

    status: CaptionStatus
    text: str | None = None
    message: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish_reason: str | None = None

    def __post_init__(self) -> None:
        has_text = self.text is not None and bool(self.text.strip())
        if has_text == (self.status in ("empty", "error")) or not (has_text or self.message):
            raise ValueError(
                f"a result of status {self.status!r} cannot have text {self.text!r}, message {self.message!r}"
            )


class Captioner(ABC):
    """A captioner ready to work: loaded once per worker."""

    @abstractmethod
    def caption(self, inputs: Sequence[CaptionInput]) -> list[CaptionResult]:
        """One result for each input, in order."""


class CaptionerConfig(Member):
    """Which captioner, and how it is asked."""

    frames: NonNegative = 0  # how many frames it looks at, spread evenly; 0 for none

    @property
    @abstractmethod
    def revision(self) -> str:
        """Model id and revision, or the version of the rule; it enters the fingerprint of captions."""

    @property
    def prompt(self) -> str | None:
        """The prompt, where the captioner has one; it enters the fingerprint of captions."""
        return None

    @abstractmethod
    def build(self) -> Captioner:
        """The captioner, loaded."""


class WordsCaptionerConfig(CaptionerConfig):
    """A captioner that reads labels and captions alone: it looks at no frames."""

    @field_validator("frames")
    @classmethod
    def _looks_at_none(cls, frames: int) -> int:
        if frames:
            raise ValueError("this captioner looks at no frames: leave frames at 0")
        return frames
