"""Constant-rate ticks over pictures of any rate: tick i shows the last picture with pts <= start + i / rate."""

from __future__ import annotations

import math

MAX_SLACK_S = 5e-4


def rounding_slack_s(time_base_s: float) -> float:
    """How far a pts may lie behind its true time: half a tick of its clock, at most 0.5 ms (webm rounds to 1 ms)."""
    return min(time_base_s / 2, MAX_SLACK_S) + 1e-6


class Ticks:
    """The ticks of one window, given out in order; `count` None means as many as there are pictures for."""

    def __init__(self, start_s: float, rate_hz: float, *, count: int | None, slack_s: float) -> None:
        self._start_s, self._rate_hz, self._count, self._slack_s = start_s, rate_hz, count, slack_s
        self.given = 0

    @property
    def left(self) -> int | None:
        return None if self._count is None else self._count - self.given

    @property
    def done(self) -> bool:
        return self._count is not None and self.given >= self._count

    def before(self, time_s: float) -> int:
        """How many ticks that were not given yet lie before a picture that begins at `time_s`; gives them."""
        reached = math.ceil((time_s - self._slack_s - self._start_s) * self._rate_hz - 1e-9)
        if self._count is not None:
            reached = min(reached, self._count)
        fresh = max(0, reached - self.given)
        self.given += fresh
        return fresh

    def hold(self) -> None:
        """Give one tick more: the last picture is held for it."""
        self.given += 1
