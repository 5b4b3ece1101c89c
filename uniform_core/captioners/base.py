"""What a captioner is: it looks at clips and says one text for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import field_validator

from uniform_core.families import Member
from uniform_core.types import NonNegative

CaptionStatus = Literal["success", "truncated", "refused", "empty", "error"]


@dataclass(frozen=True)
class CaptionInput:
    """What a captioner may look at, or look up.

    The frames are given only to captioners that ask for some: those at `frame_indices` of a clip that has `clip_frames`
    of them at `rate_hz`. `source_id`, `video_id` and `start_ms` (of the clip within its source) say which clip it is.
    """

    clip_id: str
    label: str | None
    source_caption: str | None
    frames_THWC: np.ndarray | None = None  # uint8
    frame_indices: tuple[int, ...] | None = None
    rate_hz: float | None = None
    clip_frames: int | None = None
    source_id: str | None = None
    video_id: str | None = None
    start_ms: int | None = None

    @property
    def duration_s(self) -> float | None:
        """How long the clip is, where its length and rate are known."""
        return None if self.rate_hz is None or self.clip_frames is None else self.clip_frames / self.rate_hz


@dataclass(frozen=True)
class CaptionResult:
    """What was said. `text` is None exactly where `status` is `empty` or `error`; then `message` says why.

    `seed` is the one that the captioner was asked with.
    Raises ValueError for a result that breaks this: a caption without words would pass for the null text.
    """

    status: CaptionStatus
    text: str | None = None
    message: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish_reason: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        has_text = self.text is not None and bool(self.text.strip())
        if has_text == (self.status in ("empty", "error")) or not (has_text or self.message):
            raise ValueError(
                f"a result of status {self.status!r} cannot have text {self.text!r}, message {self.message!r}"
            )


class Captioner(ABC):
    """A captioner ready to work: loaded once per worker."""

    @abstractmethod
    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        """One result for each input, in order.

        With seed 0 it says what its config asks for. Another seed asks again, where `CaptionerConfig.can_vary` says
        that something else may be said; elsewhere it changes nothing. What is wrong with one input is a result of
        status `error`; exceptions are of the captioner as a whole.
        """


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

    @property
    def sampling(self) -> dict[str, object]:
        """What decides the words besides the revision, the prompt and the frames: values that JSON can hold."""
        return {}

    @property
    def frame_policy(self) -> str:
        """Which frames are looked at and how, in words that tell one policy from another."""
        return f"even:{self.frames}" if self.frames else "none"

    @property
    def can_vary(self) -> bool:
        """Whether another seed may bring another text."""
        return False

    @property
    def is_brief(self) -> bool:
        """Whether one or two words are all that it is meant to say: these are then no fault."""
        return False

    @property
    def batch_clips(self) -> int:
        """How many clips are best given at once."""
        return 64 if self.frames else 512

    def shared(self, processes: int) -> tuple[int, Self]:
        """How many of so many processes are of use at once, and the config of each of them: the same fingerprint."""
        return processes, self

    def pick_frames(self, clip_frames: int) -> tuple[int, ...]:
        """The indices of the frames to look at, of a clip that has so many: never descending, some twice where it has
        fewer than are asked for.

        >>> from uniform_core.captioners import ClassLabelConfig
        >>> ClassLabelConfig().pick_frames(68)
        ()
        """
        return tuple(np.linspace(0, clip_frames - 1, self.frames).round().astype(int).tolist())

    def require_ready(self) -> None:
        """It could be built now and would answer: looked at before any work is queued. Raises ConfigError or
        ServiceError that names all that is missing.
        """

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
