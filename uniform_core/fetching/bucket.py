"""Turns at a steady rate, some of them at once: the token bucket, kept as the moment at which it is full again."""

from __future__ import annotations

from datetime import datetime, timedelta

from uniform_core.types import Count, Frozen, PositiveFloat


class Rate(Frozen):
    """So many requests a second in the long run, `burst` of them at once after a pause."""

    per_s: PositiveFloat
    burst: Count = 1

    @property
    def gap_s(self) -> float:
        """The time from one request to the next, in the long run."""
        return 1.0 / self.per_s


class Bucket:
    """Gives out turns. Each is its taker's whether it is used or not, so that nobody has to be waited for."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._full_at: datetime | None = None

    def reserve(self, now: datetime) -> float:
        """How many seconds the taker has to wait for its turn.

        >>> bucket, now = Bucket(Rate(per_s=2.0, burst=2)), datetime(2026, 1, 1)
        >>> [bucket.reserve(now) for _ in range(4)]
        [0.0, 0.0, 0.5, 1.0]
        """
        full_at = now if self._full_at is None else max(self._full_at, now)
        slack_s = (self.rate.burst - 1) * self.rate.gap_s
        self._full_at = full_at + timedelta(seconds=self.rate.gap_s)
        return max(0.0, (full_at - now).total_seconds() - slack_s)

    def forget(self) -> None:
        """Nobody waits any more: the turns that were given out are not used."""
        self._full_at = None
