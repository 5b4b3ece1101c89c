"""The gate that all workers of a run share: for each host a rate and a breaker, kept in a file that outlives a kill."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from uniform_core.errors import StorageError
from uniform_core.fetching.breaker import Breaker, BreakerState
from uniform_core.fetching.bucket import Bucket, Rate
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.gate import GateClient
from uniform_core.fetching.outcome import Deferred, Failed
from uniform_core.fetching.policies import DAY_S, HOUR_S, MOST_ASKED_S, POLICIES
from uniform_core.files import write_bytes
from uniform_core.types import Frozen, PositiveFloat

_STATES: Final = TypeAdapter(dict[str, BreakerState])
MOST_REASON: Final = 300

# A guest may look at about 300 videos an hour. Source: yt-dlp's wiki, Extractors, "This content isn't available".
YOUTUBE: Final = Rate(per_s=300 / HOUR_S)
YOUTUBE_MEDIA: Final = Rate(per_s=2.0, burst=4)
KNOWN_RATES: Final[Mapping[str, Rate]] = {"youtube.com": YOUTUBE, "googlevideo.com": YOUTUBE_MEDIA}


class HostRules(Frozen):
    """How hosts are asked. A name in `rates` stands for the host and all below it, which then share one rate.

    What `rates` does not name keeps its rate of `KNOWN_RATES`: who slows a mirror down does not let YouTube go.

    A bot wall closes a host for `botwall_pause_s` to twice that, a rate limit for `rate_limit_pause_s`, both doubled
    each time in a row up to `most_pause_s`; and never for less than the host asked for, up to a week.
    """

    rates: Mapping[str, Rate] = KNOWN_RATES
    other_rate: Rate = Rate(per_s=4.0, burst=4)
    botwall_pause_s: PositiveFloat = HOUR_S
    rate_limit_pause_s: PositiveFloat = HOUR_S
    most_pause_s: PositiveFloat = DAY_S
    probe_s: PositiveFloat = 900.0

    def key_of(self, host: str) -> str:
        """The name under which a host is counted: the longest with a rate that stands for it, else its own.

        >>> HostRules().key_of("rr3---sn-x.GoogleVideo.com"), HostRules().key_of("host.example")
        ('googlevideo.com', 'host.example')
        """
        low = host.lower().rstrip(".")
        fitting = [name for name in self._rates if low == name or low.endswith(f".{name}")]
        return max(fitting, key=len, default=low)

    def rate_of(self, host: str) -> Rate:
        return self._rates.get(self.key_of(host), self.other_rate)

    @property
    def _rates(self) -> Mapping[str, Rate]:
        return {**KNOWN_RATES, **self.rates}


class HostGates:
    """The turns and the breakers of every host, one for all workers. No call waits, so that none waits for another.

    `path` is where it keeps what was closed; None: nowhere. Raises StorageError where that cannot be read or written.
    """

    def __init__(
        self, rules: HostRules, *, clock: Callable[[], datetime], rng: random.Random, path: Path | None = None
    ) -> None:
        self.rules = rules
        self._clock, self._rng, self._path = clock, rng, path
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}
        self._breakers = {key: Breaker(probe_s=rules.probe_s, state=state) for key, state in _read(path).items()}

    def reserve(self, host: str) -> float | Deferred:
        """The seconds to wait for the caller's turn at the host, or that it is closed."""
        key, now = self.rules.key_of(host), self._clock()
        with self._lock:
            breaker = self._breaker(key)
            until = breaker.enter(now)
            if until is not None:
                return self._deferred(key, until)
            bucket = self._buckets.setdefault(key, Bucket(self.rules.rate_of(host)))
            return bucket.reserve(now)

    def shut(self, host: str) -> Deferred | None:
        """Until when the host is closed; None where it is not. It takes no turn."""
        key, now = self.rules.key_of(host), self._clock()
        with self._lock:
            until = self._breaker(key).shut_until(now)
            return None if until is None else self._deferred(key, until)

    def tell(self, host: str, failed: Failed | None) -> None:
        """What came of a request; None for success."""
        key, now = self.rules.key_of(host), self._clock()
        with self._lock:
            breaker = self._breaker(key)
            if failed is not None and POLICIES[failed.failure].closes_host:
                breaker.close(
                    now,
                    pause_s=self._pause_s(failed.failure),
                    most_s=self.rules.most_pause_s,
                    asked_s=min(failed.retry_after_s or 0.0, MOST_ASKED_S),
                    reason=f"{failed.failure.value}: {failed.message}"[:MOST_REASON],
                )
                if key in self._buckets:
                    self._buckets[key].forget()
                self._keep()
            elif failed is not None and failed.failure in (FailureClass.TRANSIENT, FailureClass.CONFIG):
                breaker.unanswered()
            elif breaker.answered(now):
                self._keep()

    def closed(self) -> Mapping[str, Deferred]:
        """The hosts that are closed now."""
        now = self._clock()
        with self._lock:
            return {
                key: self._deferred(key, until)
                for key, breaker in self._breakers.items()
                if (until := breaker.shut_until(now)) is not None
            }

    def client(self, *, sleep: Callable[[float], None]) -> GateClient:
        """The gate of a worker in this process."""
        return GateClient(self.reserve, self.shut, self.tell, sleep=sleep)

    def _breaker(self, key: str) -> Breaker:
        return self._breakers.setdefault(key, Breaker(probe_s=self.rules.probe_s))

    def _deferred(self, key: str, until: datetime) -> Deferred:
        state = self._breakers[key].state
        return Deferred(key, until, "" if state is None else state.reason)

    def _pause_s(self, failure: FailureClass) -> float:
        if failure is FailureClass.BOTWALL:
            return self.rules.botwall_pause_s * (1 + self._rng.random())
        return self.rules.rate_limit_pause_s

    def _keep(self) -> None:
        if self._path is not None:
            states = {key: breaker.state for key, breaker in self._breakers.items() if breaker.state is not None}
            write_bytes(self._path, _STATES.dump_json(states, indent=1))


def _read(path: Path | None) -> dict[str, BreakerState]:
    """The breakers that were kept. Raises StorageError for a file that says something else."""
    if path is None or not path.exists():
        return {}
    try:
        return _STATES.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror or str(error)
        fix = "Remove the file: hosts that had closed are then asked at once."
        raise StorageError(str(path), expected="the state of hosts as JSON", found=found, fix=fix) from error
