"""A time for every frame of a stream, also for those to which the file gives none."""

from __future__ import annotations

from typing import Any, NamedTuple

MAX_UNTIMED_S = 1.0
"""For so long frames wait in memory for the first timestamp of their stream; MPEG asks for one every 0.7 s."""


class Placed(NamedTuple):
    """A decoded frame, at `time_s` for `length_s`, seconds on the container's clock."""

    time_s: float
    length_s: float
    frame: Any


class Placer:
    """Frames of one stream in the order in which they are shown; one without a time follows the one before it.

    Those before the first timestamp wait for it, and are then placed backwards from it by their lengths: they are the
    frames right before it, unless one between them was lost (`give_up`).
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, Any]] = []  # length, frame
        self._next_s: float | None = None

    @property
    def waiting(self) -> int:
        """How many frames wait for the first timestamp."""
        return len(self._waiting)

    @property
    def waits_too_long(self) -> bool:
        return sum(length_s for length_s, _ in self._waiting) > MAX_UNTIMED_S

    def place(self, frame: Any, time_s: float | None, *, length_s: float) -> list[Placed]:
        """The frames whose times are known now, in order: none, this one, or all that have waited and this one."""
        if time_s is None:
            time_s = self._next_s
        if time_s is None:
            self._waiting.append((length_s, frame))
            return []
        placed = [Placed(time_s, length_s, frame)]
        for before_s, earlier in reversed(self._waiting):
            placed.append(Placed(placed[-1].time_s - before_s, before_s, earlier))
        self._waiting.clear()
        self._next_s = time_s + length_s if self._next_s is None else max(self._next_s, time_s + length_s)
        return placed[::-1]

    def give_up(self) -> int:
        """How many frames waited, and have no place any more since a packet behind them is lost."""
        waiting = self.waiting
        self._waiting.clear()
        return waiting
