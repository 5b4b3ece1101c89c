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


class Choice(Frozen):
    """The clips of a side: at most `clips` of a split, the classes taking turns."""

    split: str
    clips: Count


class Terms(Frozen):
    """What a protocol may leave to the run that scores under it."""

    loading: Loading
    conditions: Choice  # the clips that generated ones are made from; the truth of paired metrics
    reference: Choice  # the real clips that distribution metrics compare with


class Protocol(Frozen):
    """A name for how a number is made. The parameters of one metric (ddof, splits, seeds) stand in its config;
    `MetricConfig.protocol_hash` covers both.
    """

    name: Word
    extractor: Word
    layer: str = "features"
    judges: Modality | None = None  # the modality that the number speaks of; None: of both together
    # None for each of these: as the run has it; `at` spells it out.
    loading: Loading | None = None
    conditions: Choice | None = None
    reference: Choice | None = None
    items: Count | None = None  # how many clips a side the protocol asks for; fewer are scored with a warning
    precision: Literal["float64"] = "float64"  # of the reduction; features are what the extractor gives

    def at(self, terms: Terms) -> Protocol:
        """The protocol with the run's terms spelled out, as numbers are made and hashed under."""
        return self.model_copy(update={name: given for name, given in terms if getattr(self, name) is None})

    def against(self, terms: Terms) -> str | None:
        """Which term of this protocol the run cannot score under, in words; None where it can."""
        odd = [name for name, given in terms if getattr(self, name) not in (None, given)]
        return f"its {odd[0]} must be null, or what the run has: {getattr(terms, odd[0])!r}" if odd else None
