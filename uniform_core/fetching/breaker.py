"""A host that has built a wall is left alone, for longer each time, and asked by one worker before all ask again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from uniform_core.types import Frozen, NonNegative

WAIT_FOR_PROBE_S: Final = 30.0  # how long those who are not the probe are sent away for


class BreakerState(Frozen):
    """What is kept of a host: since when and until when it was closed last, how often in a row, and why."""

    closed_at: datetime
    until: datetime
    times: NonNegative
    reason: str
    opened_at: datetime | None = None  # None until it was asked again with success


class Breaker:
    """The breaker of one host. Times come from the caller's clock."""

    def __init__(self, *, probe_s: float, state: BreakerState | None = None) -> None:
        self.state = state
        self._probe_s = probe_s
        self._probed_at: datetime | None = None

    def shut_until(self, now: datetime) -> datetime | None:
        """Until when nobody may ask; None where somebody may. It says nothing to those who are on their way."""
        return self.state.until if self.state is not None and self.is_shut(now) else None

    def is_shut(self, now: datetime) -> bool:
        return self.state is not None and self.state.opened_at is None and now < self.state.until

    def enter(self, now: datetime) -> datetime | None:
        """None where the caller may ask now, which makes it the probe after a pause; else when to come again.

        A probe from which nothing is heard for `probe_s` was killed: another takes its place.
        """
        if self.state is None or self.state.opened_at is not None:
            return None
        if now < self.state.until:
            return self.state.until
        if self._probed_at is not None and now < self._probed_at + timedelta(seconds=self._probe_s):
            return now + timedelta(seconds=WAIT_FOR_PROBE_S)
        self._probed_at = now
        return None

    def close(self, now: datetime, *, pause_s: float, most_s: float, asked_s: float, reason: str) -> None:
        """A wall was met. The pause doubles each time in a row, up to `most_s`, and is never less than `asked_s`.

        Walls that others met before they could know are the same wall. A host that stayed open for as long as it had
        been closed is forgiven.
        """
        state = self.state
        if state is not None and self.is_shut(now):
            until = max(state.until, now + timedelta(seconds=asked_s))
            self.state = state.model_copy(update={"until": until})
            return
        times = 0
        if state is not None and not (state.opened_at and now - state.opened_at >= state.until - state.closed_at):
            times = state.times
        wait_s = max(min(most_s, pause_s * 2 ** min(times, 30)), asked_s)
        until = now + timedelta(seconds=wait_s)
        self.state = BreakerState(closed_at=now, until=until, times=times + 1, reason=reason)
        self._probed_at = None

    def answered(self, now: datetime) -> bool:
        """The host has answered as hosts do; whether that opens it. What was under way when it closed opens nothing."""
        if self.state is None or self._probed_at is None or self.is_shut(now):
            return False
        self.state = self.state.model_copy(update={"opened_at": now})
        self._probed_at = None
        return True

    def unanswered(self) -> None:
        """The probe learnt nothing: the next who asks is the probe."""
        self._probed_at = None
