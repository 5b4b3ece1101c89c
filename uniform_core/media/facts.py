"""What a file says of itself, read from its open streams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import av

from uniform_core.media.picture import quarter_turns, shown_size_of
from uniform_core.media.refusal import Refused
from uniform_core.media.results import SourceFacts
from uniform_core.media.source import Source

MAX_RATE_HZ = 1000.0


@dataclass(frozen=True)
class Head:
    """What is known of a file with picture and sound once both have begun. `zero_s`: where its timeline has its zero.

    That is the first sample shown or heard, on the container's clock.
    """

    facts: SourceFacts
    zero_s: float


def head_of(source: Source) -> Head:
    """The head of an open source, which is read. Raises Refused where picture or sound are not there at all."""
    if source.video is None:
        raise Refused("no_video", "a picture and sound expected, no video stream found")
    if source.audio is None:
        raise Refused("no_audio", "a picture and sound expected, no audio stream found")
    first_v, first_a = source.read_head()
    frame = source.first_picture
    if first_v is None or frame is None:
        raise source.nothing_of("video")
    if first_a is None:
        raise source.nothing_of("audio")
    zero_s = min(first_v, first_a)
    facts = facts_of(source, frame, video_start_s=first_v - zero_s, audio_start_s=first_a - zero_s)
    return Head(facts, zero_s)


def believable_rate(rate: Fraction | None) -> float | None:
    """A frame rate in Hz, None where the container says none or nonsense."""
    return float(rate) if rate and 0 < rate <= MAX_RATE_HZ and math.isfinite(rate) else None


def facts_of(
    source: Source, frame: av.VideoFrame | None, *, video_start_s: float | None, audio_start_s: float | None
) -> SourceFacts:
    """The facts of an open source whose first picture is `frame`."""
    video, audio = source.video, source.audio
    width, height = (None, None) if frame is None else shown_size_of(frame, source.pixel_aspect)
    return SourceFacts(
        container=source.container_name,
        duration_s=source.duration_s,
        video_codec=video.codec_context.name if video is not None else None,
        width_px=width,
        height_px=height,
        video_rate_hz=believable_rate(video.average_rate) if video is not None else None,
        rotation_deg=rotation_of(frame) if frame is not None else 0,
        video_start_s=video_start_s,
        audio_codec=audio.codec_context.name if audio is not None else None,
        audio_rate_hz=(audio.codec_context.sample_rate or None) if audio is not None else None,
        channels=audio.codec_context.layout.nb_channels if audio is not None else None,
        audio_start_s=audio_start_s,
    )


def rotation_of(frame: av.VideoFrame) -> int:
    """The rotation that shows a frame upright, degrees counter-clockwise, -90, 0, 90 or 180."""
    return (0, 90, 180, -90)[quarter_turns(frame)]
