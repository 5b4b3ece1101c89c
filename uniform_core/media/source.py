"""An open media file as one stream of pictures and sound on one clock, inside the sandboxed worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.stream import Disposition

from uniform_core.media.budget import SAID, ErrorBudget, StreamKind
from uniform_core.media.declared import DeclaredEnd
from uniform_core.media.forms import Limits
from uniform_core.media.placing import MAX_UNTIMED_S, Placer
from uniform_core.media.refusal import Refused, file_failed, short
from uniform_core.media.restart import Clocks
from uniform_core.media.skip import Skipper

HEAD_PACKETS = 200_000
HEAD_BYTES = 256 << 20
"""So much of a file is kept in memory until both picture and sound have begun."""
MAX_REORDERED = 16  # pictures that a decoder of H.264 or HEVC may hold
MAX_LENGTHS = 1000


@dataclass(frozen=True)
class Picture:
    """One decoded frame, at `time_s` for `length_s`, on the source's clock (seconds, zero as the container has it)."""

    time_s: float
    length_s: float
    frame: av.VideoFrame


@dataclass(frozen=True)
class Sound:
    """One decoded piece of sound that begins at `time_s`; `after_error` where a packet before it was lost."""

    time_s: float
    frame: av.AudioFrame
    after_error: bool


class Source:
    """An open file: `facts` of its streams, then `events` in file order. Errors of packets are counted, not raised."""

    def __init__(self, container: Any, limits: Limits, *, video: bool, audio: bool) -> None:
        self._container = container
        self.budget = ErrorBudget(limits)
        self._limits = limits
        self.video: Any = _best(container.streams.video) if video else None
        self.audio: Any = _best(container.streams.audio) if audio else None
        for stream in (self.video, self.audio):
            if stream is not None:
                stream.codec_context.thread_count = 1  # the pool uses the cores
        if self.video is not None:
            self._check_pixels(self.video.codec_context.width, self.video.codec_context.height)
            self.video.codec_context.options = {"max_pixels": str(limits.max_pixels)}
        rate = self.video.average_rate if self.video is not None else None
        self._nominal_s = float(1 / rate) if rate else 0.04
        self._lengths_s: dict[int, float] = {}  # a fraction of a duration costs more than the rest of a small frame
        self._head: list[Picture | Sound] = []
        self._unread: deque[Any] = deque()
        self._head_is_full = False
        self._in_head: set[str] = set()
        self._skipper = Skipper(self.container_name)
        self._audio_lost = False
        self._placers: dict[StreamKind, Placer] = {"video": Placer(), "audio": Placer()}
        self._stamps = ("dts",) if self.container_name == "avi" else ("pts", "dts")
        self._first_packet_s: float | None = None  # of the picture
        self._delay_s: float | None = None  # of the decoder, where dts stand in: as long as it waited before the first
        self.clocks = Clocks(picture=self.video is not None, sound=self.audio is not None)

    def _check_pixels(self, width: int, height: int) -> None:
        if width * height > self._limits.max_pixels:
            found = f"{width}x{height} found"
            raise Refused("too_large", f"at most {self._limits.max_pixels} pixels expected, {found}")

    @property
    def container_name(self) -> str:
        return str(self._container.format.name)

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width of a pixel over its height; the container's word goes before the codec's."""
        return self.video.sample_aspect_ratio if self.video is not None else None

    @property
    def first_picture(self) -> av.VideoFrame | None:
        """The first frame, between `read_head` and `events`."""
        return next((piece.frame for piece in self._head if isinstance(piece, Picture)), None)

    @property
    def first_sound(self) -> av.AudioFrame | None:
        """The first piece of sound, between `read_head` and `events`."""
        return next((piece.frame for piece in self._head if isinstance(piece, Sound)), None)

    def declared_end(self) -> DeclaredEnd | None:
        """Where the container says that its streams end; None where it does not.

        Matroska has no length for each stream, and its own counts from zero where its clock does, not from its start.
        """
        spans_s = {
            name: (float(stream.start_time * stream.time_base), float(stream.duration * stream.time_base))
            for name, stream in (("picture", self.video), ("sound", self.audio))
            if stream is not None and stream.duration is not None and stream.start_time is not None
        }
        if not spans_s and self.duration_s is not None:
            start_s = 0.0 if "matroska" in self.container_name else (self._container.start_time or 0) / av.time_base
            spans_s = {"picture": (start_s, self.duration_s)}
        return DeclaredEnd.of(spans_s, container_name=self.container_name) if spans_s else None

    @property
    def duration_s(self) -> float | None:
        """What the container says; None where it says nothing that can be true."""
        value = self._container.duration
        seconds = None if value is None else value / av.time_base
        return seconds if seconds is not None and 0 < seconds < 1e7 else None

    def read_head(self) -> tuple[float | None, float | None]:
        """The first moment of picture and of sound, None for a stream of which nothing decodes.

        Packets of a stream whose first piece is known wait undecoded, so memory stays small.
        """
        first: dict[str, float | None] = {"video": None, "audio": None}
        wanted = {stream.type for stream in (self.video, self.audio) if stream is not None}
        waiting_bytes = 0
        for packet in self._packets():
            kind = packet.stream.type
            if kind in wanted:
                pieces = self._decode(packet)
                self._head.extend(pieces)
                self._in_head |= {kind} if packet.size else set()
                if pieces:
                    first[kind] = pieces[0].time_s
                    wanted.discard(kind)
            else:
                self._unread.append(packet)
                waiting_bytes += packet.size
            self._head_is_full = len(self._unread) >= HEAD_PACKETS or waiting_bytes >= HEAD_BYTES
            if not wanted or self._head_is_full:
                break
        return first["video"], first["audio"]

    def nothing_of(self, kind: StreamKind) -> Refused:
        """Why `read_head` found nothing of a stream that the container names."""
        wanted = {"video": "pictures expected", "audio": "sound expected"}[kind]
        if self._head_is_full:
            most = f"the first {HEAD_BYTES >> 20} MiB or {HEAD_PACKETS} packets of the other stream"
            return Refused("not_interleaved", f"{wanted} beside {most}, none found")
        if self._placers[kind].waiting:
            return self._without_times(kind)
        if kind in self._in_head:
            return Refused("undecodable", f"{wanted}, none decodes: {self.budget.last(kind)}")
        return Refused(f"no_{kind}", f"{wanted}, the stream that the container names is empty")

    def _without_times(self, kind: StreamKind) -> Refused:
        within = f"a timestamp within {MAX_UNTIMED_S:g} s of the {SAID[kind]}'s first packet expected"
        return Refused("bad_timestamps", f"{within}, none found in {self._placers[kind].waiting} decoded frames")

    def events(self) -> Iterator[Picture | Sound]:
        """Every piece that decodes, in file order; `read_head` comes first. Raises Refused when the budget is spent.

        They end with the file, or where its timestamps start again (`clocks.restart`).
        """
        yield from self._head
        self._head.clear()
        for packet in self._rest():
            yield from self._wanted(packet)
            if self.clocks.ended:
                return

    def _rest(self) -> Iterator[Any]:
        """The packets behind the head."""
        while self._unread:
            yield self._unread.popleft()
        yield from self._packets()

    def next_sound_s(self) -> float | None:
        """When the next sound begins of which nothing was read yet, None for none: this reads on, events are lost."""
        sounds = (packet for packet in self._rest() if packet.stream is self.audio and packet.pts is not None)
        return next((float(packet.pts * packet.time_base) for packet in sounds), None)

    def nothing_before(self, time_s: float) -> None:
        """Promise that no event before a moment (on the container's clock) is wanted: it may then be left out."""
        self._skipper.needed_from_s = time_s

    def _wanted(self, packet: Any) -> Iterator[Picture | Sound]:
        for wanted in self._skipper.pass_on(packet):
            yield from self._decode(wanted)

    def _packets(self) -> Iterator[Any]:
        """Packets until the end. An error of the demuxer is counted and reading goes on behind it."""
        streams = [stream for stream in (self.video, self.audio) if stream is not None]
        while True:
            try:
                yield from self._container.demux(streams)
            except (EOFError, av.error.EOFError):
                return
            except IndexError:  # at the end PyAV flushes streams too that have appeared on the way, and knows none
                return
            except (MemoryError, av.error.MemoryError) as error:
                raise Refused("memory", "reading: more memory needed than the worker may have") from error
            except av.FFmpegError as error:
                if not self.budget.demux_failed(short(error)):
                    return  # nothing but errors: what was read until here is what there is
            except OSError as error:
                why = file_failed(error)
                if not why.terminal:
                    raise why from error
                if not self.budget.demux_failed(why.message):
                    return
            else:
                return

    def _decode(self, packet: Any) -> list[Picture | Sound]:
        kind: StreamKind = "video" if packet.stream is self.video else "audio"
        try:
            frames = packet.decode()
        except (EOFError, av.error.EOFError):
            return []
        except (MemoryError, av.error.MemoryError) as error:
            raise Refused("memory", "decoding: more memory needed than the worker may have") from error
        except av.FFmpegError as error:
            self._audio_lost |= kind == "audio"
            self.budget.packet_failed(kind, short(error))
            for _ in range(self._placers[kind].give_up()):
                self.budget.packet_failed(kind, "a frame without a timestamp before a lost packet")
            return []
        self.budget.packet_read()
        if kind == "video" and self._first_packet_s is None and packet.dts is not None:
            self._first_packet_s = float(packet.dts * packet.time_base)
        pieces = [
            piece for frame in frames for piece in (self._pictures(frame) if kind == "video" else self._sounds(frame))
        ]
        if self._placers[kind].waits_too_long:
            raise self._without_times(kind)
        return pieces

    def _time_s(self, frame: Any) -> float | None:
        """When a frame is shown, by its own word; AVI knows the order of decoding only, for which dts stand in."""
        stamps = (getattr(frame, name) for name in self._stamps)
        return next((float(stamp * frame.time_base) for stamp in stamps if stamp is not None), None)

    def _pictures(self, frame: av.VideoFrame) -> Iterator[Picture]:
        self._check_pixels(frame.width, frame.height)
        time_s = self._time_s(frame)
        if time_s is not None and "pts" not in self._stamps:
            time_s -= self._decoder_delay_s(time_s)
        for placed in self._placers["video"].place(frame, time_s, length_s=self._length_s(frame)):
            last_s = self.clocks.latest_s("picture")
            if not self.clocks.takes("picture", placed.time_s) or (last_s is not None and placed.time_s <= last_s):
                continue  # behind the end of the timeline, or shown at no time of its own
            if placed.frame.is_corrupt:
                self.budget.picture_damaged()
            yield Picture(*placed)

    def _decoder_delay_s(self, time_s: float) -> float:
        """How long the decoder holds pictures to put them in order: a frame has the dts of the packet that freed it."""
        if self._delay_s is None:
            waited_s = time_s - (time_s if self._first_packet_s is None else self._first_packet_s)
            is_plain = self.budget.total == 0 and 0.0 <= waited_s <= MAX_REORDERED * self._nominal_s + 1e-6
            self._delay_s = waited_s if is_plain else 0.0
        return self._delay_s

    def _length_s(self, frame: av.VideoFrame) -> float:
        if not frame.duration:
            return self._nominal_s
        length_s = self._lengths_s.get(frame.duration)
        if length_s is None:
            length_s = float(frame.duration * (frame.time_base or self.video.time_base))
            if len(self._lengths_s) < MAX_LENGTHS:
                self._lengths_s[frame.duration] = length_s
        return length_s

    def _sounds(self, frame: av.AudioFrame) -> Iterator[Sound]:
        if not frame.samples or not frame.sample_rate:
            return
        length_s = frame.samples / frame.sample_rate
        for placed in self._placers["audio"].place(frame, self._time_s(frame), length_s=length_s):
            if self.clocks.takes("sound", placed.time_s):
                lost, self._audio_lost = self._audio_lost, False
                yield Sound(placed.time_s, placed.frame, lost)


def _best(streams: Any) -> Any:
    """The stream that a player would choose: the default one, else the first, never a cover picture; None for none."""
    real = [stream for stream in streams if not stream.disposition & Disposition.attached_pic and _decodable(stream)]
    if not real:
        return None
    return max(real, key=lambda s: (bool(s.disposition & Disposition.default), -s.index))


def _decodable(stream: Any) -> bool:
    return getattr(stream, "codec_context", None) is not None
