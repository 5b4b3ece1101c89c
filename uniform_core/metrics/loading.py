"""Loading rules: what lies between an original file and what an extractor is given, all of it frozen and hashed.

A rule of a run's spec (`reader` fitted) is read by the run's own reader, clips at the spec's rate and size. A rule of a
published protocol (`reader` streamed) is read from the original file by `originals`: each stream by its own rule, in
the order in which the fields stand here.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from uniform_core.fingerprint import digest
from uniform_core.spec import AVSpec
from uniform_core.types import Count, Frozen, Modality, NonNegative, PositiveFloat


def _unless(default: Any) -> Any:
    """A field that is left out of a dump at its default: rules from before it was there keep their hashes."""
    return Field(default=default, exclude_if=lambda value: value == default)


class VideoLoading(Frozen):
    """How frames are read from the original file. None keeps what the file has.

    `rate_rule`: at tick i the last picture that has begun (`ticks`), or frame floor(i · file's rate / rate) of as many
    as the file's length has whole ones, as torchvision's VideoClips counts (`floor_index`).

    `resize`: `squash` to the size; `crop` and `letterbox` keep the aspect; `short_side` brings the shorter side to
    `short_side_px`; `pad` is MM-Diffusion's way into a square (`published/frames.py`), bicubic with zeros around.

    `interpolation`, but for `pad`: `area` or `linear` as OpenCV has them.
    """

    rate_hz: Count | None = None
    height_px: Count | None = None
    width_px: Count | None = None
    resize: Literal["crop", "squash", "letterbox", "pad", "short_side", "none"] = "none"
    window_frames: Count | None = None  # consecutive frames; a file with fewer has no features
    rate_rule: Literal["ticks", "floor_index"] = _unless("ticks")
    short_side_px: Count | None = _unless(None)
    interpolation: Literal["area", "linear"] = _unless("area")
    window: Literal["first", "random"] = _unless("first")  # random: every place in the file is as likely
    window_seed: NonNegative = _unless(0)  # with the file's content, of the place

    @model_validator(mode="after")
    def _complete(self) -> VideoLoading:
        sized = self.height_px is not None and self.width_px is not None
        if self.resize in ("crop", "squash", "letterbox", "pad") and not sized:
            raise ValueError(f"resize {self.resize} needs height_px and width_px")
        if self.resize == "pad" and self.height_px != self.width_px:
            raise ValueError("resize pad is into a square: height_px and width_px must be equal")
        if (self.resize == "short_side") != (self.short_side_px is not None):
            raise ValueError("resize short_side and short_side_px need each other")
        if self.rate_rule == "floor_index" and self.rate_hz is None:
            raise ValueError("rate_rule floor_index needs rate_hz")
        if self.window == "random" and self.window_frames is None:
            raise ValueError("window random needs window_frames")
        return self


class AudioLoading(Frozen):
    """How sound is read from the original file.

    In this order: one channel; the mean of all of the file removed; resampled; cut to the loading's part (start_s,
    window_s); the mean of the part removed; padded with zeros at its end; made equally loud.

    `resampler`: `none` for the file's rate; `torchaudio` is `functional.resample` with its default kernel; `soxr_hq` is
    what `librosa.load` uses; `libswresample` FFmpeg's.

    `starts`: with the first sample of the sound (`own`), or with the first picture (`picture`): sound before it is left
    out, and where there is none yet is silence.

    `loudness`: `peak_half` scales the highest sample to 0.5 where it is not below −60 dBFS. It shifts FAD against raw
    references (corrections.md).
    """

    rate_hz: Count | None = None
    channels: Literal["mean", "first"] = "mean"
    resampler: Literal["none", "soxr_hq", "libswresample", "torchaudio"] = "none"
    remove_dc: bool = False
    loudness: Literal["as_is", "peak_half"] = "as_is"
    starts: Literal["own", "picture"] = _unless("own")
    dc_over: Literal["file", "part"] = _unless("file")  # the mean of what is removed
    least_samples: Count | None = _unless(None)

    @model_validator(mode="after")
    def _complete(self) -> AudioLoading:
        if (self.resampler == "none") != (self.rate_hz is None):
            raise ValueError("a rate_hz needs a resampler, and a resampler a rate_hz")
        return self


class Loading(Frozen):
    """From a file to what an extractor is given: the part of a protocol that features depend on."""

    video: VideoLoading | None = None
    audio: AudioLoading | None = None
    window_s: PositiveFloat | None = None  # from `start_s` on; None for all that is left
    reader: Literal["fitted", "streamed"] = _unless("fitted")
    start_s: float = Field(default=0.0, ge=0, exclude_if=lambda value: value == 0.0)

    @model_validator(mode="after")
    def _can_be_streamed(self) -> Loading:
        video = self.video
        if self.reader == "fitted" or video is None:
            return self
        if video.resize in ("crop", "letterbox"):
            raise ValueError(f"resize {video.resize} is not streamed: take squash, short_side or pad")
        if video.rate_hz is not None and video.rate_rule == "ticks":
            raise ValueError("rate_rule ticks is not streamed: take floor_index, or the file's own rate")
        return self

    @property
    def part_hash(self) -> str:
        """32 hex digits; `protocol_part` of the table `features`: protocols that load alike share features."""
        return digest(self.model_dump(mode="json"))

    def only(self, modality: Modality) -> Loading:
        """What is said of one stream: protocols that read the picture alike share what was seen, whatever they hear."""
        return self.model_copy(update={other.value: None for other in Modality if other is not modality})

    @classmethod
    def of_spec(cls, spec: AVSpec, *, resize: Literal["crop", "squash", "letterbox"]) -> Loading:
        """Clips as the model sees them: rate, size and duration of the spec."""
        return cls(
            video=VideoLoading(
                rate_hz=spec.video_rate_hz,
                height_px=spec.height_px,
                width_px=spec.width_px,
                resize=resize,
                window_frames=spec.frames,
            ),
            audio=AudioLoading(rate_hz=spec.audio_rate_hz, resampler="libswresample"),
            window_s=spec.duration_s,
        )
