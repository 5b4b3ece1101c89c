"""A file handed over as it is decoded: pictures piece by piece at their own size and rate, sound whole at the end.

Two scratch files take turns, so that the worker fills one while its parent looks at the other: memory is bounded
whatever the length of the film. Axes: T time, H height, W width, N samples, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uniform_core.media.facts import believable_rate
from uniform_core.media.forms import PIECE_BYTES, PIECE_FRAMES, PIECE_SLOTS, Limits, StreamRule
from uniform_core.media.mono import to_channels
from uniform_core.media.opening import open_source
from uniform_core.media.picture import Scaler, shown_size_of
from uniform_core.media.refusal import Refused, writing
from uniform_core.media.sound import MAX_SAMPLES, SoundTrack
from uniform_core.media.source import Picture, Sound, Source


@dataclass(frozen=True)
class Piece:
    """Frames that lie in a scratch file, uint8 [T, H, W, 3], and when each is shown, seconds from the file's zero."""

    slot: int
    shape_THW: tuple[int, int, int]
    times_s: list[float]
    rate_hz: float | None


@dataclass(frozen=True)
class Streamed:
    """What was read in all. A stream that the file has not, or of which nothing decodes, has its reason in `lacks`."""

    frames: int
    video_rate_hz: float | None
    video_start_s: float | None
    samples: int | None
    channels: int | None
    audio_rate_hz: int | None
    audio_start_s: float | None
    lacks: dict[str, tuple[str, str]]
    decode_errors: int


Give = Callable[[Piece], bool]
"""Hand a piece over; whether more pictures are wanted."""


def stream(
    path: Path, rule: StreamRule, *, limits: Limits, frames_files: list[Path], sound_file: Path, give: Give
) -> Streamed:
    """Read a file once. Raises Refused where none of the wanted streams is there, OutputError."""
    wants_video, wants_audio = rule.streams != "audio", rule.streams != "video"
    with open_source(path, limits, video=wants_video, audio=wants_audio) as source:
        first_v, first_a = source.read_head()
        lacks = {
            kind: (why.error_class, why.message)
            for kind, wanted, first in (("video", wants_video, first_v), ("audio", wants_audio, first_a))
            if wanted and first is None
            for why in (_nothing_of(source, kind),)
        }
        starts = [first for first in (first_v, first_a) if first is not None]
        if not starts:
            raise Refused(*next(iter(lacks.values())))
        pieces = _Pieces(source, frames_files, give)
        reading = _Reading(source, rule, zero_s=min(starts), pieces=pieces, sees=first_v is not None)
        reading.run()
        sound_NC = reading.sound_NC()
        if sound_NC is not None:
            with writing("scratch sound"):
                sound_NC.tofile(sound_file)
        return Streamed(
            frames=pieces.frames,
            video_rate_hz=pieces.rate_hz,
            video_start_s=None if first_v is None else first_v - min(starts),
            samples=None if sound_NC is None else sound_NC.shape[0],
            channels=None if sound_NC is None else sound_NC.shape[1],
            audio_rate_hz=reading.audio_rate_hz,
            audio_start_s=None if first_a is None else first_a - min(starts),
            lacks=lacks,
            decode_errors=source.budget.total,
        )


def _nothing_of(source: Source, kind: str) -> Refused:
    if (source.video if kind == "video" else source.audio) is not None:
        return source.nothing_of("video" if kind == "video" else "audio")
    said = "a picture expected, no video stream found" if kind == "video" else "sound expected, no audio stream found"
    return Refused(f"no_{kind}", said)


class _Pieces:
    """Frames on their way to the parent, all of the size of the first."""

    def __init__(self, source: Source, frames_files: list[Path], give: Give) -> None:
        self._source, self._files, self._give = source, frames_files, give
        self._scaler = Scaler("rgb24")
        self._size_WH: tuple[int, int] | None = None
        self._held: list[np.ndarray] = []
        self._times_s: list[float] = []
        self._given = 0
        self.frames = 0
        self.more = True
        self.rate_hz = believable_rate(source.video.average_rate) if source.video is not None else None

    def add(self, time_s: float, picture: Picture) -> None:
        if self._size_WH is None:
            self._size_WH = shown_size_of(picture.frame, self._source.pixel_aspect)
        width, height = self._size_WH
        self._held.append(self._scaler.scale(picture.frame, (width, height)).to_ndarray())
        self._times_s.append(time_s)
        self.frames += 1
        if len(self._held) >= max(1, min(PIECE_FRAMES, PIECE_BYTES // (width * height * 3))):
            self.flush()

    def flush(self) -> None:
        """Hand over what is held."""
        if not self._held or self._size_WH is None:
            return
        slot = self._given % PIECE_SLOTS
        with writing("scratch frames"), self._files[slot].open("wb") as file:
            for frame_HW3 in self._held:
                file.write(np.ascontiguousarray(frame_HW3).data)
        width, height = self._size_WH
        piece = Piece(slot, (len(self._held), height, width), self._times_s, self.rate_hz)
        self._held, self._times_s = [], []
        self._given += 1
        self.more = self._give(piece) and self.more


class _Reading:
    """One pass over a file."""

    def __init__(self, source: Source, rule: StreamRule, *, zero_s: float, pieces: _Pieces, sees: bool) -> None:
        self._source, self._zero_s, self._pieces = source, zero_s, pieces
        self._end_s = float("inf") if rule.until_s is None else rule.until_s
        self._sees, self._hears = sees, source.audio is not None
        self._track: SoundTrack | None = None
        self._first_s, self._channels, self._heard = 0.0, 0, 0

    @property
    def audio_rate_hz(self) -> int | None:
        return None if self._track is None else self._track.rate_hz

    def run(self) -> None:
        """Read until both streams are past the end that the rule asks for. Raises Refused."""
        for event in self._source.events():
            time_s = event.time_s - self._zero_s
            if isinstance(event, Sound):
                self._hears = self._hears and time_s < self._end_s
                if self._hears:
                    self._hear(time_s, event)
            elif self._sees:
                self._sees = self._pieces.more and time_s < self._end_s
                if self._sees:
                    self._pieces.add(time_s, event)
            if not self._sees and not self._hears:
                break
        else:
            if self._source.clocks.restart is not None:  # what the rule asks for lies behind it
                raise self._source.clocks.restart.refusal(self._zero_s)
        self._pieces.flush()

    def _hear(self, time_s: float, sound: Sound) -> None:
        frame = sound.frame
        samples_NC = to_channels(frame)
        if self._track is None:
            self._track = SoundTrack(frame.sample_rate)
            self._first_s, self._channels = time_s, samples_NC.shape[1]
        if (frame.sample_rate, samples_NC.shape[1]) != (self._track.rate_hz, self._channels):
            form = f"{frame.sample_rate} Hz in {samples_NC.shape[1]} channels"
            self._source.budget.packet_failed("audio", f"the sound changes to {form}")
            return
        self._heard += samples_NC.size
        if self._heard > MAX_SAMPLES:
            raise Refused("too_large", f"at most {MAX_SAMPLES} samples of sound expected, more found by {time_s:.0f} s")
        self._track.push(time_s, samples_NC, anew=sound.after_error)

    def sound_NC(self) -> np.ndarray | None:
        """The sound from its first sample on, float32 [N, C], silence where a packet is lost; None where none is."""
        if self._track is None:
            return None
        return self._track.exact(self._first_s, min(self._end_s, self._track.end_s)).waveform_N
