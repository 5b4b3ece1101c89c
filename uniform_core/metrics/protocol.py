"""Protocols: what must be equal before two numbers of one metric may be compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from uniform_core.fingerprint import digest
from uniform_core.spec import AVSpec
from uniform_core.types import Count, Frozen, Modality, PositiveFloat

Word = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]  # a part of a metric's name: no dot, no `@`


class VideoLoading(Frozen):
    """How frames are read from the original file. None keeps what the file has."""

    rate_hz: Count | None = None
    height_px: Count | None = None
    width_px: Count | None = None
    resize: Literal["crop", "squash", "letterbox", "none"] = "none"
    window_frames: Count | None = None  # consecutive frames from the start


class AudioLoading(Frozen):
    """How sound is read from the original file."""

    rate_hz: Count | None = None
    channels: Literal["mean", "first"] = "mean"
    resampler: Literal["none", "soxr_hq", "libswresample", "torchaudio"] = "none"
    remove_dc: bool = False
    loudness: Literal["as_is"] = "as_is"  # peak normalisation shifts FAD against raw references (corrections.md)


class Loading(Frozen):
    """From a file to what an extractor is given: the part of a protocol that features depend on."""

    video: VideoLoading | None = None
    audio: AudioLoading | None = None
    window_s: PositiveFloat | None = None  # from the start; None for the whole file

    @property
    def part_hash(self) -> str:
        """32 hex digits; `protocol_part` of the table `features`: protocols that load alike share features."""
        return digest(self.model_dump(mode="json"))

    @classmethod
    def of_spec(cls, spec: AVSpec, *, resize: Literal["crop", "squash", "letterbox"] = "crop") -> Loading:
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


class Protocol(Frozen):
    """A name for how a number is made. The parameters of one metric (ddof, splits, seeds) stand in its config;
    `MetricConfig.protocol_hash` covers both.
    """

    name: Word
    extractor: Word
    layer: str = "features"
    judges: Modality | None = None  # the modality that the number speaks of; None: of both together
    loading: Loading | None = None  # None: as the run's spec has its clips; `at` says how
    items: Count | None = None  # how many clips a side the protocol asks for; fewer are scored with a warning
    precision: Literal["float64"] = "float64"  # of the reduction; features are what the extractor gives

    def at(self, spec: AVSpec) -> Protocol:
        """The protocol with its loading spelled out, as numbers are made and hashed under."""
        return self if self.loading is not None else self.model_copy(update={"loading": Loading.of_spec(spec)})
