"""What is asked of the media floor: the canonical form, the cut rule, the limits, the rule of an evaluation.

Imported by the sandboxed worker: the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from uniform_core.spec import AVSpec
    from uniform_core.types import Window

CANONICAL_VERSION = 5
"""Bumped by hand whenever the same source gives other canonical clips: their bytes, which windows give one, or what is
measured on them."""

ResizeRule = Literal["crop", "squash", "letterbox"]
MonoRule = Literal["itu", "mean", "first"]
MAX_OVERLAP = 16
"""How many windows may be open at once: each holds an encoder."""


@dataclass(frozen=True)
class CanonicalForm:
    """What every canonical clip is, whatever it came from: constant rates, zero start, square pixels, mono sound."""

    duration_s: float
    video_rate_hz: int
    short_side_px: int
    audio_rate_hz: int = 16_000

    def __post_init__(self) -> None:
        if min(self.duration_s, self.video_rate_hz, self.audio_rate_hz) <= 0:
            raise ValueError(f"{self} has a length or a rate that is not positive")
        if self.short_side_px < 2 or self.short_side_px % 2:
            raise ValueError(f"short_side_px {self.short_side_px} must be even: H.264 stores colour at half size")
        for rate_hz in (self.video_rate_hz, self.audio_rate_hz):
            if abs(self.duration_s * rate_hz - round(self.duration_s * rate_hz)) > 1e-6:
                raise ValueError(f"duration_s {self.duration_s} at {rate_hz} Hz is not a whole number")

    @classmethod
    def of(cls, spec: AVSpec) -> CanonicalForm:
        """The form of the clips that a spec asks for."""
        return cls(
            duration_s=spec.duration_s,
            video_rate_hz=spec.video_rate_hz,
            short_side_px=spec.canonical_short_side_px,
            audio_rate_hz=spec.audio_rate_hz,
        )

    @property
    def frames(self) -> int:
        return round(self.duration_s * self.video_rate_hz)

    @property
    def samples(self) -> int:
        return round(self.duration_s * self.audio_rate_hz)

    @property
    def frame_s(self) -> float:
        """How long one frame is shown."""
        return 1 / self.video_rate_hz

    def fingerprint_params(self) -> dict[str, Any]:
        """What enters the stage fingerprint of canonical clips."""
        return {"canonical_version": CANONICAL_VERSION, **asdict(self)}


@dataclass(frozen=True)
class CutRule:
    """Windows of `clip_s` seconds every `stride_s` seconds, as many as lie wholly inside the source."""

    clip_s: float
    stride_s: float

    def __post_init__(self) -> None:
        if not (self.clip_s > 0 and self.stride_s > 0):
            raise ValueError(f"{self}: both must be positive")
        if self.clip_s / self.stride_s > MAX_OVERLAP:
            raise ValueError(f"{self}: more than {MAX_OVERLAP} windows would overlap")

    @classmethod
    def of(cls, spec: AVSpec, clip_s: float | None = None, stride_s: float | None = None) -> CutRule:
        """The rule of a dataset config: `clip_s` defaults to the spec's duration, `stride_s` to `clip_s`."""
        length_s = spec.duration_s if clip_s is None else clip_s
        return cls(clip_s=length_s, stride_s=length_s if stride_s is None else stride_s)


@dataclass(frozen=True)
class Limits:
    """What one file may cost. None of these changes a clip that is accepted.

    `wall_s` bounds the silence between two signs of progress (a finished window, five seconds of the source);
    `request_wall_s` bounds the whole request: what is done by then is kept, the rest is refused for good.
    """

    wall_s: float = 60.0
    request_wall_s: float = 3600.0
    memory_bytes: int = 2 << 30
    requests_per_process: int = 200
    max_pixels: int = 40_000_000
    max_errors: int = 500
    max_errors_in_a_row: int = 100
    max_decoded_bytes: int = 1 << 30
    max_message_bytes: int = 1 << 20


@dataclass(frozen=True)
class DecodeRule:
    """How a protocol reads a file: by its own rate, size, cut and channel rule; None means the source's own.

    `streams` names what the protocol needs: a file without it is rejected. `mono` is `itu` (as canonical clips),
    `mean` of the channels, or the `first` channel.
    """

    streams: Literal["both", "video", "audio"] = "both"
    rate_hz: float | None = None
    size_px: tuple[int, int] | None = None  # height, width
    resize: ResizeRule = "crop"
    interpolation: Literal["bicubic", "bilinear", "area"] = "bicubic"
    audio_rate_hz: int | None = 16_000
    mono: MonoRule = "itu"
    start_s: float = 0.0
    duration_s: float | None = None
    max_frames: int | None = None


PIECE_BYTES = 16 << 20
PIECE_FRAMES = 256
"""Frames are handed over in pieces of at most so much, or one at a time where one is larger."""
PIECE_SLOTS = 2
"""So many pieces lie ready at once: the worker fills one while its parent looks at the other."""


@dataclass(frozen=True)
class StreamRule:
    """Which streams of a file are handed over as they are, and until when on the file's own clock; None: to the end."""

    streams: Literal["both", "video", "audio"] = "both"
    until_s: float | None = None


def batches(windows: list[Window], size: int = 64) -> Iterator[list[Window]]:
    """Windows in order of their start, in groups of bounded size within which at most MAX_OVERLAP overlap."""
    left = sorted(set(windows), key=lambda window: (window.start_s, window.end_s))
    while left:
        group: list[Window] = []
        later: list[Window] = []
        for window in left:
            overlap = sum(1 for other in group if other.end_s > window.start_s)
            (group if len(group) < size and overlap < MAX_OVERLAP else later).append(window)
        yield group
        left = later
