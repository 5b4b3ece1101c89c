"""Who may ask a host now: what every worker asks before each request, wherever the answer is kept."""

from __future__ import annotations

from typing import Protocol

from uniform_core.fetching.outcome import Deferred, Failed


class Gate(Protocol):
    """One for all workers of a run: a rate for each host, and a breaker that stops them all."""

    def pass_through(self, host: str) -> Deferred | None:
        """None when the next request to the host may go out now, after the wait that its rate asks for.

        `Deferred` where the host is closed: the caller gives its clip back.
        """

    def tell(self, host: str, failed: Failed | None) -> None:
        """What came of a request: None for success. A wall or a rate limit closes the host for everybody."""
