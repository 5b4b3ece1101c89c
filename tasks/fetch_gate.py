"""The one gate of a run, as a Ray actor: every worker asks it before each request, wherever the worker runs.

It keeps what was closed in a file, and reads it when it starts: neither its own death nor the driver's forgets a wall.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uniform_core.clock import utc_now
from uniform_core.fetching.gate import GateClient
from uniform_core.fetching.hosts import HostGates, HostRules
from uniform_core.fetching.outcome import Deferred, Failed

NAME = "uniform-host-gates"


class GateActor:
    """`HostGates` behind calls. No call waits: who has to wait for a turn does so at home."""

    def __init__(self, rules_json: str, path: str) -> None:
        rules = HostRules.model_validate_json(rules_json)
        rng = random.Random()  # noqa: S311  (pauses: spread, not secret)
        self._gates = HostGates(rules, clock=utc_now, rng=rng, path=Path(path))

    def reserve(self, host: str) -> float | Deferred:
        """The seconds to wait for the caller's turn at the host, or that it is closed."""
        return self._gates.reserve(host)

    def shut(self, host: str) -> Deferred | None:
        """Until when the host is closed; None where it is not."""
        return self._gates.shut(host)

    def tell(self, host: str, failed: Failed | None) -> None:
        """What came of a request; None for success."""
        self._gates.tell(host, failed)

    def closed(self) -> Mapping[str, Deferred]:
        """The hosts that are closed now."""
        return dict(self._gates.closed())


class RemoteGate:
    """The gate actor as the driver holds it, and as it hands it to workers (`client`)."""

    def __init__(self, rules: HostRules, path: Path) -> None:
        import ray  # here: only where there is something to fetch

        # Started anew where it dies: a call that was under way is made again, and takes at most one turn too many.
        named = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "name": f"{NAME}-{uuid.uuid4().hex[:8]}"}
        self._actor = ray.remote(**named)(GateActor).remote(rules.model_dump_json(), str(path))

    @property
    def handle(self) -> Any:
        """What a worker's `RemoteCalls` is made of."""
        return self._actor

    def closed(self) -> dict[str, Any]:
        """The hosts that are closed now, and until when."""
        import ray

        return {host: deferred.until for host, deferred in ray.get(self._actor.closed.remote()).items()}

    def end(self) -> None:
        """The actor is gone."""
        import ray

        ray.kill(self._actor, no_restart=True)


def client_of(handle: Any, *, sleep: Callable[[float], None] = time.sleep) -> GateClient:
    """The gate of one worker. It answers as the actor does, whose death in between costs a wait."""
    import ray

    def reserve(host: str) -> float | Deferred:
        answer: float | Deferred = ray.get(handle.reserve.remote(host))
        return answer

    def shut(host: str) -> Deferred | None:
        answer: Deferred | None = ray.get(handle.shut.remote(host))
        return answer

    def tell(host: str, failed: Failed | None) -> None:
        ray.get(handle.tell.remote(host, failed))

    return GateClient(reserve, shut, tell, sleep=sleep)
