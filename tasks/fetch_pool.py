"""The workers of the stage `fetch` as a pool of Ray actors, with the gate that they share. Kept from pass to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.fetch_gate import RemoteGate, client_of
from tasks.fetch_worker import FetchWorker
from tasks.pool import Bench, OnResult, PoolLimits, PoolSummary, Resources, run_pool
from tasks.ray_session import RaySession
from uniform_core.fetching.hosts import HostRules
from uniform_core.settings import HOSTS_FILE

# A video waits for its turn at its host behind those of all other workers, and may then be large and slow. Every source
# has its own, shorter limits; this one only ends what hangs beyond them.
LIMITS = PoolLimits(batch_limit_s=6 * 3600.0)


class RayFetchWorker(FetchWorker):
    """A worker whose gate is the actor of the run."""

    def __init__(self, *, datasets: Mapping[int, str], media_dir: str, work_dir: str, gate: Any) -> None:
        super().__init__(datasets=datasets, media_dir=media_dir, work_dir=work_dir, gate=client_of(gate))


class FetchPool:
    """Starts Ray, the gate and the workers at the first pass. `close` ends gate and workers, and leaves Ray."""

    def __init__(
        self,
        ray: RaySession,
        *,
        datasets: Mapping[int, str],
        media_dir: Path,
        work_dir: Path,
        size: int,
        rules: HostRules,
    ) -> None:
        self._ray, self._datasets, self._size, self._rules = ray, datasets, size, rules
        self._media_dir, self._work_dir = media_dir, work_dir
        self._gate: RemoteGate | None = None
        self._bench = Bench()  # its own: these actors are of no use to other stages, and many

    def __call__(
        self, batches: Iterator[Sequence[Any]], *, on_result: OnResult, on_tick: Callable[[], None]
    ) -> PoolSummary:
        """Every batch through the workers."""
        return run_pool(
            RayFetchWorker,
            batches,
            size=self._size,
            setup={
                "datasets": self._datasets,
                "media_dir": str(self._media_dir),
                "work_dir": str(self._work_dir),
                "gate": self._started().handle,
            },
            on_result=on_result,
            on_tick=on_tick,
            limits=LIMITS,
            bench=self._bench,
            resources=Resources(cpus=0),  # they mostly wait for hosts: there may be more of them than cores
        )

    def closed_hosts(self) -> Mapping[str, datetime]:
        """The hosts that are closed now, and until when."""
        return {} if self._gate is None else self._gate.closed()

    def close(self) -> None:
        """End the workers and their gate."""
        for member in self._bench.idle:
            member.end()
        self._bench.idle.clear()
        if self._gate is not None:
            self._gate.end()
            self._gate = None

    def _started(self) -> RemoteGate:
        if self._gate is None:
            self._ray.start()
            self._gate = RemoteGate(self._rules, self._work_dir / HOSTS_FILE)
        return self._gate
