"""When things happen in a scene, and curves that follow it. Axes: T times of frames or samples, E events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EASE_IN_S = 3.0  # events begin this long before the take, so that its first frame is already in full swing


@dataclass(frozen=True)
class Events:
    """Event times in s, ascending, from before the take to after it, and how strong each is (0.75 to 1)."""

    times_E: np.ndarray
    strengths_E: np.ndarray

    def between(self, start_s: float, end_s: float) -> list[tuple[int, float, float]]:
        """(number, time, strength) of each event in [start_s, end_s)."""
        shown = np.flatnonzero((self.times_E >= start_s) & (self.times_E < end_s))
        return [(int(e), float(self.times_E[e]), float(self.strengths_E[e])) for e in shown]

    def inside(self, duration_s: float) -> tuple[float, ...]:
        """The times of the take itself, in [0, duration_s)."""
        return tuple(float(t) for t in self.times_E if 0.0 <= t < duration_s)

    def index(self, times_T: np.ndarray) -> np.ndarray:
        """For each time, the last event that has happened."""
        return np.clip(np.searchsorted(self.times_E, times_T, side="right") - 1, 0, len(self.times_E) - 2)

    def turns(self, times_T: np.ndarray) -> np.ndarray:
        """A smooth count of events: whole at each event, with an even pace between two of them."""
        index_T = self.index(times_T)
        start_T, end_T = self.times_E[index_T], self.times_E[index_T + 1]
        return np.asarray(index_T + (times_T - start_T) / (end_T - start_T))

    def age_s(self, times_T: np.ndarray) -> np.ndarray:
        """Seconds since the last event."""
        return np.asarray(times_T - self.times_E[self.index(times_T)])

    def nearest_s(self, times_T: np.ndarray) -> np.ndarray:
        """Seconds to the nearest event, before or after."""
        index_T = self.index(times_T)
        before_T, after_T = times_T - self.times_E[index_T], self.times_E[index_T + 1] - times_T
        return np.asarray(np.minimum(np.abs(before_T), np.abs(after_T)))


def draw_events(rng: np.random.Generator, *, period_s: float, jitter: float, duration_s: float) -> Events:
    """Events of this mean period at a random phase; each interval is off by up to `jitter` of the period.

    The phase is uniform and every interval its own, so nothing but watching (or listening) tells when they are.
    """
    lead_s = max(EASE_IN_S, period_s * (2.0 + jitter))  # so that the first event is before the take, however slow
    count = int((duration_s + lead_s + EASE_IN_S) / (period_s * (1.0 - jitter))) + 2
    intervals_E = period_s * (1.0 + jitter * rng.uniform(-1.0, 1.0, count))
    times_E = -lead_s + rng.uniform(0.0, period_s) + np.cumsum(intervals_E)
    times_E = np.round(times_E, 6)  # the same text in every table
    return Events(times_E, rng.uniform(0.75, 1.0, count))


def decay(age_s: np.ndarray, seconds: float) -> np.ndarray:
    """1 at age 0, falling by e every `seconds`; 0 before."""
    return np.where(age_s >= 0.0, np.exp(-np.maximum(age_s, 0.0) / seconds), 0.0)
