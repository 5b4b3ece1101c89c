"""A file decoded by a protocol's own rule, into raw scratch files. Axes: T time, H height, W width, N samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from uniform_core.media.facts import believable_rate
from uniform_core.media.forms import DecodeRule, Limits
from uniform_core.media.geometry import place
from uniform_core.media.mono import to_mono
from uniform_core.media.opening import open_source
from uniform_core.media.picture import Scaler, shown_size_of
from uniform_core.media.refusal import Refused, writing
from uniform_core.media.sound import SoundTrack
from uniform_core.media.source import Picture, Source
from uniform_core.media.timeline import Ticks, rounding_slack_s


@dataclass(frozen=True)
class Decoded:
    """What lies in the scratch files: the shape of the pictures, the number of samples, the rates."""

    shape_THW: tuple[int, int, int] | None
    samples: int | None
    video_rate_hz: float | None
    audio_rate_hz: int | None
    decode_errors: int


def decode(path: Path, rule: DecodeRule, *, limits: Limits, frames_file: Path, sound_file: Path) -> Decoded:
    """Write RGB frames and float32 sound to the two files. Raises Refused, OutputError."""
    wants_video, wants_audio = rule.streams != "audio", rule.streams != "video"
    with open_source(path, limits, video=wants_video, audio=wants_audio) as source, frames_file.open("wb") as frames:
        if wants_video and source.video is None:
            raise Refused("no_video", "a picture expected, no video stream found")
        if wants_audio and source.audio is None:
            raise Refused("no_audio", "sound expected, no audio stream found")
        decoder = _Decoder(source, rule, limits=limits, frames=frames)
        decoder.run()
        waveform_N = decoder.waveform()
        if waveform_N is not None:
            with writing("scratch sound"):
                waveform_N.tofile(sound_file)
        return Decoded(
            shape_THW=decoder.shape_THW if wants_video else None,
            samples=None if waveform_N is None else len(waveform_N),
            video_rate_hz=decoder.video_rate_hz if wants_video else None,
            audio_rate_hz=decoder.audio_rate_hz if wants_audio else None,
            decode_errors=source.budget.total,
        )


class _Decoder:
    """One pass over a file: frames go to the scratch file as they come, sound is kept and resampled at the end."""

    def __init__(self, source: Source, rule: DecodeRule, *, limits: Limits, frames: BinaryIO) -> None:
        first_v, first_a = source.read_head()
        if source.video is not None and first_v is None:
            raise source.nothing_of("video")
        if source.audio is not None and first_a is None:
            raise source.nothing_of("audio")
        self._zero_s = min(first for first in (first_v, first_a) if first is not None)
        self._source, self._rule, self._limits, self._frames = source, rule, limits, frames
        source.nothing_before(self._zero_s + rule.start_s)
        self._scaler = Scaler("rgb24", rule.interpolation)
        self._end_s = float("inf") if rule.duration_s is None else rule.start_s + rule.duration_s
        self._showing: Picture | None = None
        self._sound: SoundTrack | None = None
        self._written = 0
        self._size_HW: tuple[int, int] | None = None
        self._source_rate_hz = believable_rate(source.video.average_rate) if source.video is not None else None
        slack_s = rounding_slack_s(float(source.video.time_base)) if source.video is not None else 0.0
        wanted = rule.max_frames
        if rule.rate_hz is not None and rule.duration_s is not None:
            whole = round(rule.duration_s * rule.rate_hz)
            wanted = whole if wanted is None else min(wanted, whole)
        self._wanted = wanted
        self._slack_s = slack_s
        self._ticks = Ticks(rule.start_s, rule.rate_hz or 1.0, count=wanted, slack_s=slack_s)

    @property
    def video_rate_hz(self) -> float | None:
        return self._rule.rate_hz or self._source_rate_hz

    @property
    def audio_rate_hz(self) -> int | None:
        return self._rule.audio_rate_hz or (None if self._sound is None else self._sound.rate_hz)

    @property
    def shape_THW(self) -> tuple[int, int, int]:
        height, width = self._size_HW or (0, 0)
        return (self._written, height, width)

    def run(self) -> None:
        """Read until both streams are past the end that the rule asks for. Raises Refused."""
        video_done, audio_done = self._source.video is None, self._source.audio is None
        for event in self._source.events():
            time_s = event.time_s - self._zero_s
            if isinstance(event, Picture):
                video_done = video_done or self._see(Picture(time_s, event.length_s, event.frame))
            elif time_s >= self._end_s + 0.1:
                audio_done = True
            else:
                self._hear(time_s, event.frame, anew=event.after_error)
            if video_done and audio_done:
                break
        else:
            if self._source.clocks.restart is not None:  # what the rule asks for lies behind it
                raise self._source.clocks.restart.refusal(self._zero_s)
        if not video_done and self._showing is not None and self._rule.rate_hz is not None:
            showing = self._showing
            self._write(showing, self._ticks.before(min(showing.time_s + showing.length_s, self._end_s)))
        if self._source.video is not None and not self._written:
            raise Refused("too_short", f"a picture expected from {self._rule.start_s:.3f} s on, none found")

    def _see(self, picture: Picture) -> bool:
        """Take a picture in; whether the pictures are complete."""
        if self._rule.rate_hz is None:
            if self._rule.start_s - self._slack_s <= picture.time_s < self._end_s - self._slack_s:
                self._write(picture, 1)
            enough = self._wanted is not None and self._written >= self._wanted
            return enough or picture.time_s >= self._end_s
        before = self._showing or picture
        self._write(before, self._ticks.before(min(picture.time_s, self._end_s)))
        self._showing = picture
        return self._ticks.done or picture.time_s >= self._end_s

    def _write(self, picture: Picture, times: int) -> None:
        if not times:
            return
        data = self._sized(picture.frame).tobytes()
        self._written += times
        height, width = self._size_HW or (0, 0)
        if self._written * height * width * 3 > self._limits.max_decoded_bytes:
            most = f"at most {self._limits.max_decoded_bytes >> 20} MiB of pictures expected"
            raise Refused("too_large", f"{most}, more than {self._written} of {width}x{height} found")
        with writing("scratch frames"):
            for _ in range(times):
                self._frames.write(data)

    def _sized(self, frame: av.VideoFrame) -> np.ndarray:
        """The frame as RGB uint8 [H, W, 3] at the rule's size; without one, as shown at its first picture."""
        width, height = shown_size_of(frame, self._source.pixel_aspect)
        if self._size_HW is None:
            self._size_HW = self._rule.size_px or (height, width)
        placement = place((height, width), self._size_HW, self._rule.resize if self._rule.size_px else "squash")
        if max(placement.scaled_HW) ** 2 > self._limits.max_pixels * 4:
            raise Refused("odd_shape", f"a picture near the asked shape expected, {width}x{height} found")
        scaled_HW3 = self._scaler.scale(frame, placement.scaled_HW[::-1]).to_ndarray()
        return placement.apply(scaled_HW3, self._size_HW)

    def _hear(self, time_s: float, frame: av.AudioFrame, *, anew: bool) -> None:
        if self._sound is None:
            self._sound = SoundTrack(frame.sample_rate)
        if frame.sample_rate != self._sound.rate_hz:
            self._source.budget.packet_failed("audio", f"the sampling rate changes to {frame.sample_rate} Hz")
            return
        self._sound.push(time_s, to_mono(frame, self._rule.mono), anew=anew)
        self._sound.forget(self._rule.start_s)

    def waveform(self) -> np.ndarray | None:
        """The sound from the rule's start until its end or the end of the sound; None where none was asked for."""
        if self._source.audio is None:
            return None
        if self._sound is None or self._sound.end_s <= self._rule.start_s:
            raise Refused("too_short", f"sound expected from {self._rule.start_s:.3f} s on, none found")
        rate_hz = self._rule.audio_rate_hz or self._sound.rate_hz
        duration_s = min(self._end_s, self._sound.end_s) - self._rule.start_s
        return self._sound.cut(self._rule.start_s, duration_s, rate_hz=rate_hz).waveform_N
