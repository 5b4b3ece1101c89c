"""Who may ask a host now: what every worker asks before each request, wherever the answer is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from uniform_core.fetching.outcome import Deferred, Failed
from uniform_core.fetching.policies import POLICIES

LOOK_S: Final = 1.0  # who waits for its turn looks so often whether the host has closed meanwhile

Answer = TypeVar("Answer")


class Gate(Protocol):
    """One for all workers of a run: a rate for each host, and a breaker that stops them all."""

    def pass_through(self, host: str) -> Deferred | None:
        """None when the next request to the host may go out now, after the wait that its rate asks for.

        `Deferred` where the host is closed: the caller gives its clip back.
        """

    def shut(self, host: str) -> Deferred | None:
        """Until when the host is closed; None where it is not. It takes no turn."""

    def tell(self, host: str, failed: Failed | None) -> None:
        """What came of a request: None for success. A wall or a rate limit closes the host for everybody."""


class GateClient:
    """The gate of one worker: it asks whoever keeps the turns, and waits for its own without holding anybody up."""

    def __init__(
        self,
        reserve: Callable[[str], float | Deferred],
        shut: Callable[[str], Deferred | None],
        tell: Callable[[str, Failed | None], None],
        *,
        sleep: Callable[[float], None],
    ) -> None:
        self._reserve, self._shut, self._tell, self._sleep = reserve, shut, tell, sleep

    def pass_through(self, host: str) -> Deferred | None:
        left_s = self._reserve(host)
        if isinstance(left_s, Deferred):
            return left_s
        while left_s > 0:
            step_s = min(left_s, LOOK_S)
            self._sleep(step_s)
            left_s -= step_s
            closed = self._shut(host)
            if closed is not None:
                return closed
        return None

    def shut(self, host: str) -> Deferred | None:
        return self._shut(host)

    def tell(self, host: str, failed: Failed | None) -> None:
        self._tell(host, failed)


def asked(gate: Gate, host: str, request: Callable[[], Answer | Failed]) -> Answer | Failed | Deferred:
    """What comes of one request to a host, made when it may be, and told.

    A failure that closes the host counts against no clip: it comes back as `Deferred`, like what was not asked at all.
    """
    closed = gate.pass_through(host)
    if closed is not None:
        return closed
    answer = request()
    failed = answer if isinstance(answer, Failed) else None
    gate.tell(host, failed)
    if failed is not None and POLICIES[failed.failure].closes_host:
        return gate.shut(host) or failed
    return answer
