"""A pool's run over numbered items, and what must have come of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from pool_worker import PoolWorker

from tasks.pool import PoolLimits, PoolSummary, run_pool
from uniform_core.errors import Rejection

FAST = PoolLimits(batch_limit_s=3.0)


class Run:
    """A pool run over items 0..n-1, and what came of each."""

    def __init__(
        self, log_dir: Path, n: int, *, deeds: dict[int, dict[str, Any]] | None = None, batch: int = 4
    ) -> None:
        self.log_dir, self.n, self.batch = log_dir, n, batch
        self.deeds = deeds or {}
        self.results: dict[int, Any] = {}
        self.given = 0
        self.actors_left: list[int] = []

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        items = [{"n": i, **self.deeds.get(i, {})} for i in range(self.n)]
        for start in range(0, self.n, self.batch):
            self.given += 1
            yield items[start : start + self.batch]

    def take(self, items: Sequence[Any], results: Sequence[Any]) -> None:
        for item, result in zip(items, results, strict=True):
            assert item["n"] not in self.results, f"item {item['n']} came twice"
            self.results[item["n"]] = result

    def go(self, *, size: int = 2, limits: PoolLimits = FAST, **setup: Any) -> PoolSummary:
        setup = {"log_dir": str(self.log_dir), **setup}
        return run_pool(PoolWorker, self.batches(), size=size, setup=setup, on_result=self.take, limits=limits)

    def expect(self, rejected: dict[int, str]) -> None:
        reasons = {n: r.error_class for n, r in self.results.items() if isinstance(r, Rejection)}
        values = {n: r for n, r in self.results.items() if not isinstance(r, Rejection)}
        assert reasons == rejected
        assert values == {n: n for n in range(self.n) if n not in rejected}

    def pids(self) -> list[int]:
        return [int(path.stem) for path in self.log_dir.glob("*.log")]


def wait_until_gone(pids: Sequence[int], *, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while alive := [pid for pid in pids if psutil.pid_exists(pid)]:
        assert time.monotonic() < deadline, f"still alive: {alive}"
        time.sleep(0.05)
