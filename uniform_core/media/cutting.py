"""Clips cut from a video, exactly: one pass over the file, each span its own file at the video's own rate and size.

Times inside are seconds on the source's timeline: zero is the first sample shown or heard. Axes: N samples, C channels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av

from uniform_core.media.canonical import MAX_OPEN, PROGRESS_S
from uniform_core.media.cut_file import LAYOUTS, CutFile
from uniform_core.media.facts import Head, head_of
from uniform_core.media.forms import Limits
from uniform_core.media.mono import to_channels, to_mono
from uniform_core.media.opening import open_source
from uniform_core.media.picture import Scaler
from uniform_core.media.plans import Span
from uniform_core.media.refusal import Refused
from uniform_core.media.sound import SoundTrack
from uniform_core.media.source import Picture, Sound, Source
from uniform_core.media.timeline import rounding_slack_s

ENOUGH = 0.95
"""Which share of a span must be there: videos end a little before their index says."""
MIN_SPAN_S, MAX_SPAN_S = 0.1, 900.0  # the sound of a span is held in memory


class CutListener(Protocol):
    """Who hears of results. A span of None is every span that was not told of before."""

    def part(self) -> Path: ...
    def clip(self, span: Span, file: CutFile, *, duration_s: float, decode_errors: int) -> None: ...
    def refused(self, span: Span | None, why: Refused) -> None: ...
    def progress(self, time_s: float) -> None: ...


def cut(path: Path, spans: Sequence[Span], *, limits: Limits, listener: CutListener) -> None:
    """Tell the listener one result for each span, or the reason that holds for all that have none."""
    try:
        with open_source(path, limits) as source:
            _Pass(source, head_of(source), spans, listener).run()
    except Refused as why:
        listener.refused(None, why)


@dataclass
class _OpenSpan:
    """A span between its first picture and its last sample."""

    span: Span
    file: CutFile
    errors_before: int
    has_pictures: bool = False

    @property
    def length_s(self) -> float:
        return self.span[1] - self.span[0]


class _Pass:
    """The state of one pass: spans to come, spans open, the picture that is showing, the sound so far."""

    def __init__(self, source: Source, head: Head, spans: Sequence[Span], listener: CutListener) -> None:
        self._source, self._zero_s, self._listener = source, head.zero_s, listener
        self._waiting = deque(sorted(spans))
        self._open: list[_OpenSpan] = []
        width, height = head.facts.width_px or 1, head.facts.height_px or 1
        self._size_WH = (width + width % 2, height + height % 2)  # H.264 stores colour at half size
        self._rate_hz = Fraction(head.facts.video_rate_hz or 25.0).limit_denominator(1001)
        self._slack_s = rounding_slack_s(float(source.video.time_base))
        self._scaler = Scaler("yuv420p")
        self._first_s = head.facts.video_start_s or 0.0
        self._showing: Picture | None = None
        sound = source.first_sound  # the header may be wrong, as that of HE-AAC is
        assert sound is not None  # `head_of` has seen one
        self._layout, self._track = _layout_of(sound), SoundTrack(sound.sample_rate)
        self._progress_s = 0.0

    def run(self) -> None:
        """Read the file once and tell the listener every result."""
        try:
            for event in self._source.events():
                self._hear(event) if isinstance(event, Sound) else self._see(event)
                if not self._waiting and not self._open:
                    return
            self._end_of_file()
        except Refused as why:
            self._listener.refused(None, why)
        finally:
            for one in self._open:
                one.file.abandon()

    def _hear(self, sound: Sound) -> None:
        frame = sound.frame
        layout = _layout_of(frame)
        if (layout, frame.sample_rate) != (self._layout, self._track.rate_hz):
            self._source.budget.packet_failed("audio", f"the sound changes to {layout} at {frame.sample_rate} Hz")
            return
        samples = to_mono(frame, "itu")[:, None] if frame.layout.name != layout else to_channels(frame)
        self._track.push(sound.time_s - self._zero_s, samples, anew=sound.after_error)
        self._close_ready()

    def _see(self, event: Picture) -> None:
        picture = Picture(event.time_s - self._zero_s, event.length_s, event.frame)
        before = self._showing
        if before is None:  # it stands in for what is not there before it, as in players
            self._show(picture, from_s=float("-inf"), until_s=picture.time_s)
        else:
            self._show(before, from_s=before.time_s, until_s=picture.time_s)
        self._showing = picture
        if picture.time_s >= self._progress_s + PROGRESS_S:
            self._progress_s = picture.time_s
            self._listener.progress(picture.time_s)

    def _show(self, picture: Picture, *, from_s: float, until_s: float) -> None:
        """Show a picture in every span that it reaches into."""
        while self._waiting and self._waiting[0][0] < until_s - self._slack_s:
            self._begin(self._waiting.popleft())
        for one in self._open:
            start_s, end_s = one.span
            shown_s, gone_s = max(from_s, start_s), min(until_s, end_s)
            if gone_s - shown_s > self._slack_s and not one.has_pictures:
                frame = self._scaler.scale(picture.frame, self._size_WH)
                one.file.add(frame, start_s=shown_s - start_s if one.file.frames else 0.0, end_s=gone_s - start_s)
            one.has_pictures |= until_s >= end_s - self._slack_s
        self._close_ready()

    def _begin(self, span: Span) -> None:
        if len(self._open) >= MAX_OPEN:
            found = f"{MAX_OPEN} clips wait for sound that is still at {self._track.end_s:.3f} s"
            raise Refused("not_interleaved", f"sound beside the picture expected, {found}")
        length_s = span[1] - span[0]
        if not MIN_SPAN_S <= length_s <= MAX_SPAN_S:
            text = f"a span of {MIN_SPAN_S:g} to {MAX_SPAN_S:g} s expected, {length_s:g} s found"
            self._listener.refused(span, Refused("odd_span", text))
            return
        file = CutFile(
            self._listener.part(),
            size_WH=self._size_WH,
            rate_hz=self._rate_hz,
            audio_rate_hz=self._track.rate_hz,
            layout=self._layout,
        )
        self._open.append(_OpenSpan(span, file, self._source.budget.total if self._showing is not None else 0))

    def _close_ready(self) -> None:
        """Finish the spans that have all their pictures and sound, and forget what no span needs any more."""
        for one in [one for one in self._open if one.has_pictures and self._track.end_s >= one.span[1]]:
            self._finish(one, end_s=one.span[1])
        starts = [one.span[0] for one in self._open] + [span[0] for span in list(self._waiting)[:1]]
        needed_from_s = min(starts, default=self._track.end_s)
        self._track.forget(needed_from_s)
        self._source.nothing_before(needed_from_s + self._zero_s)

    def _finish(self, one: _OpenSpan, *, end_s: float) -> None:
        """Tell the clip until a moment, or why there is none."""
        self._open.remove(one)
        start_s, _ = one.span
        try:
            sound = self._track.exact(start_s, end_s)
            lacks_s = (1 - ENOUGH) * one.length_s
            wanted = f"picture and sound expected from {start_s:.3f} s to {end_s:.3f} s"
            if (late_s := max(self._first_s - start_s, sound.late_s)) > lacks_s:
                raise Refused("starts_late", f"{wanted}, they begin {late_s:.3f} s late")
            if (lost_s := sound.late_s + sound.lost_s + sound.short_s) > lacks_s:
                raise Refused("lost_sound", f"{wanted}, {lost_s:.3f} s of the sound are missing or do not decode")
            one.file.finish(sound.waveform_N)
        except Refused as why:
            one.file.abandon()
            self._listener.refused(one.span, why)
        else:
            errors = self._source.budget.total - one.errors_before
            self._listener.clip(one.span, one.file, duration_s=end_s - start_s, decode_errors=errors)

    def _end_of_file(self) -> None:
        showing = self._showing
        assert showing is not None  # `head_of` has seen one
        picture_s = showing.time_s + showing.length_s
        self._show(showing, from_s=showing.time_s, until_s=picture_s)
        if self._source.clocks.restart is not None:
            raise self._source.clocks.restart.refusal(self._zero_s)
        both_s = min(picture_s, max(0.0, self._track.end_s))
        why = self._shortage(picture_s=picture_s, both_s=both_s)
        for one in list(self._open):
            start_s, end_s = one.span
            if min(both_s, end_s) - start_s >= ENOUGH * one.length_s:
                self._finish(one, end_s=min(end_s, both_s))
            else:
                self._open.remove(one)
                one.file.abandon()
                self._listener.refused(one.span, why(one.span))
        while self._waiting:
            span = self._waiting.popleft()
            self._listener.refused(span, why(span))

    def _shortage(self, *, picture_s: float, both_s: float) -> Callable[[Span], Refused]:
        """Why a span has no clip: it begins behind the end, or ends too far behind it, or the file was cut short."""
        declared = self._source.declared_end()
        sound_s = self._track.end_s + self._zero_s
        cut_short = declared is not None and declared.is_missed_by(picture_s=picture_s + self._zero_s, sound_s=sound_s)
        found = f"the picture ends at {picture_s:.3f} s, the sound at {max(0.0, self._track.end_s):.3f} s"

        def why(span: Span) -> Refused:
            wanted = f"picture and sound from {span[0]:.3f} s to {span[1]:.3f} s expected, {found}"
            if cut_short and declared is not None and span[0] < declared.both_s - self._zero_s:
                return Refused("truncated", f"{wanted} of the {declared.both_s - self._zero_s:.3f} s declared")
            return Refused("range" if span[0] >= both_s - self._slack_s else "too_short", wanted)

        return why


def _layout_of(frame: av.AudioFrame) -> str:
    """The layout in which the sound of a frame is written."""
    return frame.layout.name if frame.layout.name in LAYOUTS else "mono"
