"""From any file to canonical clips: one pass over the file, bounded memory, each window its own result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from uniform_core.media.facts import head_of
from uniform_core.media.forms import MAX_OVERLAP, CanonicalForm, CutRule, Limits
from uniform_core.media.geometry import MAX_ASPECT, canonical_size
from uniform_core.media.mono import to_mono
from uniform_core.media.opening import open_source
from uniform_core.media.picture import Scaler
from uniform_core.media.plans import Plans, Span
from uniform_core.media.refusal import Refused
from uniform_core.media.results import SourceFacts
from uniform_core.media.sound import MARGIN_S, SoundTrack
from uniform_core.media.source import Picture, Sound, Source
from uniform_core.media.timeline import rounding_slack_s
from uniform_core.media.window import FinishedClip, OpenWindow, Plan

MAX_GAP_S = 30.0
"""For so long neither a picture nor sound may begin. A picture may stand for longer while sound runs on."""
MAX_OPEN = MAX_OVERLAP + 24
"""Windows that overlap, and those whose sound comes later in the file."""
PROGRESS_S = 5.0


class Listener(Protocol):
    """Who hears of results, in the order in which windows end. A `plan` of None is the whole file, or its rest."""

    def clip(self, plan: Plan, clip: FinishedClip, *, facts: SourceFacts) -> None: ...
    def refused(self, plan: Plan | None, why: Refused) -> None: ...
    def progress(self, time_s: float) -> None: ...


def canonicalise(
    path: Path, form: CanonicalForm, *, windows: Sequence[Span] | None, cut: CutRule, limits: Limits, listener: Listener
) -> None:
    """Tell the listener one result for each window, or for the whole file where it gives none at all."""
    try:
        with open_source(path, limits) as source:
            cutter = open_cutter(source, form, windows=windows, cut=cut, listener=listener)
            cutter.run()
    except Refused as why:
        listener.refused(None, why)


def open_cutter(
    source: Source, form: CanonicalForm, *, windows: Sequence[Span] | None, cut: CutRule, listener: Listener
) -> Cutter:
    """A cutter at the beginning of the file. Raises Refused where picture or sound are not there at all."""
    head = head_of(source)
    facts = head.facts
    width, height = facts.width_px or 1, facts.height_px or 1
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Refused("odd_shape", f"sides up to {MAX_ASPECT} to 1 expected, {width}x{height} found")
    both_s = max(facts.video_start_s or 0.0, facts.audio_start_s or 0.0)
    plans = Plans(form, windows=windows, cut=cut, both_s=both_s)
    return Cutter(source, form, plans=plans, facts=facts, zero_s=head.zero_s, listener=listener)


class Cutter:
    """The state of one pass: windows to come, windows open, the picture that is showing, the sound so far.

    Times inside are seconds on the source's timeline: zero is the first sample shown or heard.
    """

    def __init__(
        self,
        source: Source,
        form: CanonicalForm,
        *,
        plans: Plans,
        facts: SourceFacts,
        zero_s: float,
        listener: Listener,
    ) -> None:
        self._source, self._form, self._plans, self._facts = source, form, plans, facts
        self._zero_s, self._listener = zero_s, listener
        self._size_WH = canonical_size(facts.width_px or 1, facts.height_px or 1, form.short_side_px)
        self._slack_s = rounding_slack_s(float(source.video.time_base))
        self._track = SoundTrack(facts.audio_rate_hz or form.audio_rate_hz)
        self._open: list[OpenWindow] = []
        self._showing: Picture | None = None
        self._seen_s = 0.0  # until here it is known what is shown
        self._gap_v: Span = (0.0, 0.0)  # the last moments between which no picture began, and no sound
        self._gap_a: Span = (0.0, 0.0)
        self._scaler = Scaler("yuv420p")
        self._results = 0
        self._progress_s = 0.0

    def run(self) -> None:
        """Read the file once and tell the listener every result."""
        try:
            for event in self._source.events():
                self._hear(event) if isinstance(event, Sound) else self._see(event)
                if self._plans.next is None and not self._open:
                    return
            self._end_of_file()
        except Refused as why:
            self._give_up(why)

    def _hear(self, sound: Sound) -> None:
        if sound.frame.sample_rate != self._track.rate_hz:
            if self._track.end_s > float("-inf"):
                self._source.budget.packet_failed("audio", f"the sampling rate changes to {sound.frame.sample_rate} Hz")
                return
            self._track = SoundTrack(sound.frame.sample_rate)  # the header was wrong, as it may be for HE-AAC
        time_s, end_s = sound.time_s - self._zero_s, self._track.end_s
        if end_s > float("-inf") and time_s - end_s > MAX_GAP_S:
            self._gap_a = (end_s, time_s)
            self._check_gap()
        self._track.push(time_s, to_mono(sound.frame, "itu"), anew=sound.after_error)
        self._close_ready()

    def _see(self, event: Picture) -> None:
        picture = Picture(event.time_s - self._zero_s, event.length_s, event.frame)
        before = self._showing
        if before is not None and picture.time_s - before.time_s > MAX_GAP_S:
            self._gap_v = (before.time_s, picture.time_s)
            self._check_gap()
        # before the first picture it stands in for what is not there, as in players
        self._show(before or picture, until_s=picture.time_s)
        self._showing = picture
        if picture.time_s >= self._progress_s + PROGRESS_S:
            self._progress_s = picture.time_s
            self._listener.progress(picture.time_s)

    def _check_gap(self) -> None:
        """Raises Refused where the last gaps of picture and sound are one, and windows would lie in it."""
        begin_s, end_s = max(self._gap_v[0], self._gap_a[0]), min(self._gap_v[1], self._gap_a[1])
        plans = [window.plan for window in self._open] + ([self._plans.next] if self._plans.next is not None else [])
        reached_s = begin_s + self._form.frame_s
        wanted = any(plan.start_s < end_s and plan.until_s > reached_s for plan in plans)
        if end_s - begin_s <= MAX_GAP_S or not wanted:
            return
        for window in self._open:
            if self._showing is not None:
                window.show(self._showing, until_s=reached_s)
        self._close_until(begin_s)
        found = f"neither from {begin_s:.3f} s to {end_s:.3f} s found"
        raise Refused("bad_timestamps", f"a picture or sound at least every {MAX_GAP_S:g} s expected, {found}")

    def _show(self, picture: Picture, *, until_s: float) -> None:
        """Show a picture until a moment; a window that this completes is closed before the next one is opened."""
        self._seen_s = until_s
        for window in self._open:
            window.show(picture, until_s=until_s)
        self._close_ready()
        while (opened := self._open_next(until_s)) is not None:
            opened.show(picture, until_s=until_s)
            self._close_ready()

    def _open_next(self, before_s: float) -> OpenWindow | None:
        """The next window that begins before a moment, None for none. Those shorter than a clip are refused."""
        while (plan := self._plans.next) is not None and plan.start_s < before_s:
            if len(self._open) >= MAX_OPEN:
                self._stop_waiting()
            self._plans.take()
            if plan.end_s - plan.start_s < self._form.duration_s - self._form.frame_s - 1e-6:
                found = f"a window of {plan.end_s - plan.start_s:.3f} s"
                self._refuse(plan, Refused("too_short", f"{self._form.duration_s:g} s expected, {found} found"))
                continue
            window = OpenWindow(
                plan,
                self._form,
                size_WH=self._size_WH,
                scaler=self._scaler,
                slack_s=self._slack_s,
                errors=self._source.budget.total if self._showing is not None else 0,
            )
            self._open.append(window)
            return window
        return None

    def _stop_waiting(self) -> None:
        """Raises Refused: as many windows as may be open have their pictures, and none has its sound."""
        sound_s = max(0.0, self._track.end_s)
        self._close_until(sound_s)
        next_s = self._source.next_sound_s()
        wanted = "sound beside the picture expected"
        if next_s is None:
            raise Refused("too_short", f"{wanted}, it ends at {sound_s:.3f} s of {self._seen_s:.3f} s")
        self._gap_a = (sound_s, next_s - self._zero_s)
        self._check_gap()
        found = f"where the picture is at {self._seen_s:.3f} s the sound is still at {sound_s:.3f} s"
        raise Refused("not_interleaved", f"{wanted}, {found}")

    def _close_ready(self) -> None:
        still_open = []
        for window in self._open:
            if window.has_all_frames and self._is_past(window):
                self._finish(window)
            else:
                still_open.append(window)
        self._open = still_open
        starts = [window.plan.start_s for window in still_open]
        if self._plans.next is not None:
            starts.append(self._plans.next.start_s)
        needed_from_s = min(starts, default=self._track.end_s)
        self._track.forget(needed_from_s)
        self._source.nothing_before(needed_from_s + self._zero_s)

    def _close_until(self, end_s: float) -> None:
        """Finish the windows that are complete where picture and sound end; to one frame, as a clip may be short."""
        still_open = []
        for window in self._open:
            if window.has_all_frames and window.plan.until_s <= end_s + self._form.frame_s + self._slack_s:
                self._finish(window)
            else:
                still_open.append(window)
        self._open = still_open

    def _abandon_open(self) -> list[Plan]:
        """Free the windows that are open; their plans."""
        plans = [window.plan for window in self._open]
        for window in self._open:
            window.abandon()
        self._open = []
        return plans

    def _is_past(self, window: OpenWindow) -> bool:
        """Whether picture and sound have both come as far as the window needs them."""
        reached = self._seen_s >= window.plan.until_s - self._form.frame_s - self._slack_s
        return reached and self._track.end_s >= window.sound_end_s + MARGIN_S

    def _finish(self, window: OpenWindow) -> None:
        try:
            clip = window.finish(self._track, errors=self._source.budget.total)
        except Refused as why:
            window.abandon()
            self._refuse(window.plan, why)
        else:
            self._results += 1
            self._listener.clip(window.plan, clip, facts=self._facts)

    def _refuse(self, plan: Plan | None, why: Refused) -> None:
        self._results += 1
        self._listener.refused(plan, why)

    def _end_of_file(self) -> None:
        showing = self._showing
        assert showing is not None  # `open_cutter` has seen one
        end_s = showing.time_s + showing.length_s
        # windows behind the end of the sound cannot be complete, however long the last picture stands
        self._show(showing, until_s=min(end_s, self._track.end_s + self._form.frame_s))
        for window in self._open:
            window.hold_last(showing)
        self._close_until(min(end_s, self._track.end_s))
        self._report_missing([*self._abandon_open(), *self._plans.rest()], picture_end_s=end_s)

    def _report_missing(self, plans: list[Plan], *, picture_end_s: float) -> None:
        """Refuse what the file ended before. Windows of the cut rule count only where the file says there is more."""
        if self._source.clocks.restart is not None:
            why = self._source.clocks.restart.refusal(self._zero_s)
            self._refuse_rest(plans, why)
            return
        sound_end_s = max(0.0, self._track.end_s)
        ends = f"the picture ends at {picture_end_s:.3f} s, the sound at {sound_end_s:.3f} s"
        declared = self._source.declared_end()
        declared_s = 0.0 if declared is None else declared.both_s - self._zero_s
        cut_short = declared is not None and declared.is_missed_by(
            picture_s=picture_end_s + self._zero_s, sound_s=sound_end_s + self._zero_s
        )
        if not self._plans.by_rule:
            for plan in plans:
                lost = cut_short and plan.until_s <= declared_s + 1e-6
                wanted = f"picture and sound until {plan.until_s:.3f} s expected, {ends}"
                self._refuse(plan, Refused("truncated" if lost else "too_short", wanted))
            return
        upcoming = plans[0] if plans else self._plans.next
        if upcoming is not None and upcoming.until_s <= declared_s + 1e-6:
            found = f"the container declares {declared_s:.3f} s, {ends}"
            rest = Plan(upcoming.start_s, declared_s, until_s=declared_s)
            wanted = f"windows until the declared end expected, {found}"
            self._refuse(rest, Refused("truncated" if cut_short else "too_short", wanted))
        elif not self._results:
            self._refuse(None, Refused("too_short", f"at least {self._form.duration_s:g} s of both expected, {ends}"))

    def _give_up(self, why: Refused) -> None:
        """The file can be read no further: windows that are asked for get the reason one by one."""
        self._refuse_rest([*self._abandon_open(), *self._plans.rest()], why)

    def _refuse_rest(self, plans: list[Plan], why: Refused) -> None:
        """One reason for the rest of the file: said once for the cut rule, else for each window that was asked for."""
        for plan in [None] if self._plans.by_rule else plans:
            self._refuse(plan, why)
