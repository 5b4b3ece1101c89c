"""What a pool waits for: which of decoding, the model and committing is at work the most."""

from __future__ import annotations

import time
from collections.abc import Callable

from tasks.pool_actor import DECODE, MODEL, WORK

COMMIT = "commit"
REMEMBERED_S = 60.0  # after so much time the past counts half
LEAST_S = 1.0  # before that nothing is said
MOSTLY = 0.8  # a driver that is so busy keeps everybody waiting: they only look busy


class Watch:
    """Shares of time, from looks at how many actors of each part have something to do."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at_s = clock()
        self._busy_s = dict.fromkeys((DECODE, MODEL, WORK, COMMIT), 0.0)
        self._able_s = dict.fromkeys((DECODE, MODEL, WORK, COMMIT), 0.0)

    def look(self, loads: dict[str, tuple[float, int]]) -> None:
        """Since the last look so many actors of each part were at work, of so many that were ready."""
        now = self._clock()
        spent_s, self._at_s = now - self._at_s, now
        for part, (busy, able) in loads.items():
            self._busy_s[part] += busy * spent_s
            self._able_s[part] += able * spent_s
        self._able_s[COMMIT] += spent_s
        if self._able_s[COMMIT] > REMEMBERED_S:
            for counts in (self._busy_s, self._able_s):
                counts.update({part: value / 2 for part, value in counts.items()})

    def committed(self, seconds: float) -> None:
        """The driver has spent these on results."""
        self._busy_s[COMMIT] += seconds

    @property
    def bottleneck(self) -> str:
        """'decode-bound 91 %': decoding is at work the most, 91 % of the time that it could be. '' before anything."""
        shares = {part: self._busy_s[part] / able for part, able in self._able_s.items() if able >= LEAST_S}
        if not any(shares.values()):
            return ""
        part = COMMIT if shares.get(COMMIT, 0.0) >= MOSTLY else max(shares, key=lambda name: shares[name])
        return f"{part}-bound {min(1.0, shares[part]):.0%}".replace("%", " %")
