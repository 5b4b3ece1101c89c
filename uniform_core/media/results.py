"""What the media floor returns: facts of a source, canonical clips, refused windows, decoded media."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uniform_core.errors import Rejection

if TYPE_CHECKING:
    import numpy as np

    from uniform_core.types import Window


@dataclass(frozen=True)
class SourceFacts:
    """What a file says of itself, and where its two streams begin on its own clock.

    Sizes are as shown: after rotation and with square pixels. A stream that is not there has None.
    """

    container: str
    duration_s: float | None
    video_codec: str | None
    width_px: int | None
    height_px: int | None
    video_rate_hz: float | None
    rotation_deg: int
    video_start_s: float | None
    audio_codec: str | None
    audio_rate_hz: int | None
    channels: int | None
    audio_start_s: float | None


@dataclass(frozen=True)
class ClipFacts:
    """The columns of the table `clips` that media knows, by the same names and in the same units."""

    clip_sha256: str
    bytes: int
    width_px: int
    height_px: int
    frames: int
    video_rate_hz: float
    samples: int
    audio_rate_hz: int
    source_width_px: int
    source_height_px: int
    source_video_rate_hz: float | None
    source_audio_rate_hz: int | None
    source_channels: int | None
    source_video_codec: str
    source_audio_codec: str | None
    source_duration_s: float | None
    rotation_deg: int
    held_frames: int
    decode_errors: int
    audio_peak: float
    audio_rms_db: float | None
    motion: float
    is_silent: bool
    is_still: bool
    picture_hash: str | None  # `prints.py`; None where there is nothing to know again
    sound_print: str | None


@dataclass(frozen=True)
class CanonicalClip(ClipFacts):
    """One window as a canonical clip on disk, whole and synced."""

    window: Window
    path: Path

    def columns(self) -> dict[str, Any]:
        """Every column of the table `clips` that media knows; `path` is left to who knows the root."""
        facts = {field.name: getattr(self, field.name) for field in fields(ClipFacts)}
        return {"start_ms": self.window.start_ms, "end_ms": self.window.end_ms, **facts}


@dataclass(frozen=True)
class CutClip:
    """One span of a video as a file of its own, whole and synced. `window` is the span that was asked for.

    The file is shorter where the video ends before it, by at most a twentieth.
    """

    window: Window
    path: Path
    duration_s: float
    frames: int
    decode_errors: int


@dataclass(frozen=True)
class MeasuredFile:
    """What a file is when every picture and sample of it has been decoded, by the names of the table `downloads`.

    `duration_s` is how long picture and sound both go on; sizes are as shown. `motion` and `is_still` are those of
    pictures of 64 px short side.
    """

    bytes: int
    container: str
    duration_s: float
    frames: int
    width_px: int
    height_px: int
    video_rate_hz: float
    video_codec: str
    audio_rate_hz: int
    channels: int
    audio_codec: str
    audio_peak: float
    audio_rms_db: float | None
    motion: float
    is_silent: bool
    is_still: bool
    decode_errors: int


@dataclass(frozen=True)
class RejectedWindow:
    """One window that gave no clip, and why; `window` is None where the whole file, or its rest, gave none."""

    window: Window | None
    rejection: Rejection


@dataclass(frozen=True)
class DecodedMedia:
    """A file decoded for a protocol: RGB frames, mono sound in -1..1, and the rates that they have.

    What the rule did not ask for is None. Frames and sound begin at the same moment of the source.
    """

    frames_THWC: np.ndarray | None  # uint8
    waveform_N: np.ndarray | None  # float32
    video_rate_hz: float | None
    audio_rate_hz: int | None
    decode_errors: int


@dataclass(frozen=True)
class FramePiece:
    """Some consecutive frames of a file, RGB uint8, at their own size and rate."""

    frames_THWC: np.ndarray
    times_s: tuple[float, ...]  # from the first moment of the file's picture or sound
    rate_hz: float | None  # what the container says; None where it says nothing that can be true


@dataclass(frozen=True)
class StreamedMedia:
    """What a file is whose frames were handed over piece by piece, and its sound as it is, every channel.

    Starts are seconds from the first moment of picture or sound. A stream that was asked for and is not there has its
    reason in `lacks`.
    """

    frames: int
    video_rate_hz: float | None
    video_start_s: float | None
    sound_NC: np.ndarray | None  # float32, -1..1
    audio_rate_hz: int | None
    audio_start_s: float | None
    lacks: Mapping[str, Rejection]
    decode_errors: int


def plain(value: Any) -> dict[str, Any]:
    """The JSON form of a result record."""
    return asdict(value)
