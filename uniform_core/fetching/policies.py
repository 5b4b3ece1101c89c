"""What follows from each class of failure: another try and when, a closed host, the end of the run.

The times are those that the users of such fetchers have found, and what YouTube itself says of its limits.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from uniform_core.fetching.classes import FailureClass

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86400.0
MOST_ASKED_S: Final = 7 * DAY_S  # a host that asks for more is asked again all the same
JITTER: Final = 0.5  # a wait is so much longer at most, so that clips that failed together do not come back together


@dataclass(frozen=True)
class Policy:
    """What follows from a failure.

    `waits_s` are the pauses after the first, second, … failure of a clip; after the last of them it is final. What is
    final may still be asked for by a person, but not before `recheck_s`. A class that closes its host, or stops the
    run, counts against no clip.
    """

    waits_s: tuple[float, ...] = ()
    recheck_s: float = 0.0
    closes_host: bool = False
    stops_run: bool = False

    @property
    def counts(self) -> bool:
        """Whether the clip has had a try."""
        return not (self.closes_host or self.stops_run)

    @property
    def is_final(self) -> bool:
        """Whether the first failure is the last."""
        return self.counts and not self.waits_s


_GONE: Final = Policy(recheck_s=90 * DAY_S)
_LATER: Final = Policy(waits_s=(7 * DAY_S,) * 12)  # nothing that is announced is a quarter of a year away
_WALL: Final = Policy(closes_host=True)

POLICIES: Final[Mapping[FailureClass, Policy]] = {
    FailureClass.DEAD: _GONE,
    FailureClass.PRIVATE: _GONE,
    FailureClass.AGE: Policy(),
    FailureClass.GEO: Policy(),
    FailureClass.ACCESS: _LATER,
    FailureClass.FUTURE: _LATER,
    FailureClass.BOTWALL: _WALL,
    FailureClass.RATE_LIMIT: _WALL,
    # The address was asked for anew before; who is refused again is refused for what he is, and may not be for ever.
    FailureClass.EXPIRED_URL: Policy(waits_s=(10 * MINUTE_S, HOUR_S, DAY_S)),
    FailureClass.TRANSIENT: Policy(
        waits_s=(*(30.0 * 2**n for n in range(5)), HOUR_S, DAY_S, 7 * DAY_S),
    ),
    FailureClass.CONFIG: Policy(stops_run=True),
    FailureClass.NO_FORMAT: Policy(waits_s=(MINUTE_S, HOUR_S)),  # as bad media: a video without what we need
    FailureClass.BAD_MEDIA: Policy(waits_s=(MINUTE_S, HOUR_S)),
    FailureClass.RANGE: Policy(),
    FailureClass.DENIED: Policy(),
    FailureClass.TOO_LARGE: Policy(),
}


def next_try(
    failure: FailureClass, earlier: int, *, now: datetime, rng: random.Random, retry_after_s: float | None = None
) -> datetime | None:
    """When a clip that failed now, and `earlier` times before, may be tried again; None where this was the last.

    `retry_after_s` is what the host asked for. Where the failure counts against no clip, the clip may be tried at once:
    it is the host that is waited for, or the person.
    """
    policy = POLICIES[failure]
    if not policy.counts:
        return now
    if earlier >= len(policy.waits_s):
        return None
    wait_s = policy.waits_s[earlier] * (1 + JITTER * rng.random())
    return now + timedelta(seconds=max(wait_s, min(retry_after_s or 0.0, MOST_ASKED_S)))
