"""The loop of a pool: one crew that does all, or readers and workers with what was read between them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tasks.pool_actor import DECODE, MODEL, WORK, Done
from tasks.pool_crew import LOST, Crew, Duty
from tasks.pool_handover import Handed, HandOver
from tasks.pool_limits import PoolSummary
from tasks.pool_member import Bench, Job
from tasks.pool_watch import Watch
from uniform_core.errors import Rejection

POLL_S = 0.5  # how late a limit may be noticed
REREAD_BATCH = 8
REREADS = 3  # of one item whose object was lost with a machine, until it is rejected

OnResult = Callable[[Sequence[Any], Sequence[Any]], None]


class Pool(ABC):
    """What is common to both forms: crews that are fed and collected from until nothing is left."""

    def __init__(self, *, on_result: OnResult, on_tick: Callable[[], None], watch: Watch, drain_limit_s: float) -> None:
        import ray  # here: `uniform status` and stages with nothing to do never load it

        self._ray = ray
        self._take, self._tick, self._watch, self._drain_limit_s = on_result, on_tick, watch, drain_limit_s
        self._crews: tuple[Crew, ...] = ()

    @property
    @abstractmethod
    def summary(self) -> PoolSummary:
        """What was done until now."""

    def run(self) -> None:
        """Feed and collect until nothing is left."""
        self._feed()
        while any(crew.jobs for crew in self._crews):
            self._collect_once()
            self._feed()
            self._timed(self._tick)

    def drain(self) -> None:
        """Deliver what is in flight and can be had within the limit; start nothing new."""
        deadline = time.monotonic() + self._drain_limit_s
        *before, last = self._crews
        for crew in before:
            crew.close()
        last.stop_starting()
        while last.jobs and time.monotonic() < deadline:
            self._collect_once()

    def close(self) -> None:
        """Bench the actors that are loaded and have nothing to do, and end the others."""
        for crew in self._crews:
            crew.close()

    def _feed(self) -> None:
        for crew in self._crews:
            crew.feed()
        self._watch.look(self._loads())

    @abstractmethod
    def _loads(self) -> dict[str, tuple[float, int]]:
        """Of each part, how many actors are at work, of how many that are ready."""

    def _collect_once(self) -> None:
        heads = [reference for crew in self._crews for reference in crew.heads]
        ready, _ = self._ray.wait(heads, num_returns=1, timeout=POLL_S)
        self._watch.look(self._loads())
        for reference in ready:
            _ = any(crew.collect(reference) for crew in self._crews)
        for crew in self._crews:
            crew.tend()

    def _deliver(self, items: Sequence[Any], results: Sequence[Any]) -> None:
        self._timed(lambda: self._take(items, results))

    def _timed(self, work: Callable[[], None]) -> None:
        started_s = time.monotonic()
        work()
        self._watch.committed(time.monotonic() - started_s)


class OneCrew(Pool):
    """Every actor does all of the work; a reader may be in its process."""

    def __init__(self, duty: Duty, batches: Iterator[Sequence[Any]], *, bench: Bench | None, **common: Any) -> None:
        super().__init__(drain_limit_s=duty.limits.drain_limit_s, **common)
        self._crew = Crew(duty, lambda: next(batches, None), self._ended, bench=bench)
        self._crews = (self._crew,)

    @property
    def summary(self) -> PoolSummary:
        return self._crew.summary

    def _loads(self) -> dict[str, tuple[float, int]]:
        """A busy actor is at either part for the share of time that both have taken so far."""
        busy, able = self._crew.load
        spent = self._crew.summary
        if not spent.decode_s:
            return {WORK: (busy, able)}
        share = spent.decode_s / (spent.decode_s + spent.model_s)
        return {DECODE: (busy * share, able), MODEL: (busy * (1 - share), able)}

    def _ended(self, job: Job, done: Done, _payload: Any) -> None:
        self._deliver(job.items, done.results)


class TwoCrews(Pool):
    """Readers read, workers work on what was read. Items that cannot be read never reach a worker."""

    def __init__(
        self,
        readers: Duty,
        workers: Duty,
        batches: Iterator[Sequence[Any]],
        *,
        handover: HandOver,
        bench: Bench | None,
        **common: Any,
    ) -> None:
        super().__init__(drain_limit_s=workers.limits.drain_limit_s, **common)
        self._batches, self._handover = batches, handover
        self._next: Sequence[Any] | None = next(batches, None)
        self._rereads: dict[int, tuple[Any, int]] = {}  # held by what they are, so that no other takes their place
        self._lost: list[Any] = []
        self._readers = Crew(readers, self._to_read, self._was_read, bench=bench)
        self._workers = Crew(workers, self._to_work_on, self._was_worked_on, bench=bench)
        self._crews = (self._readers, self._workers)

    @property
    def summary(self) -> PoolSummary:
        return self._workers.summary.behind(self._readers.summary)

    def _loads(self) -> dict[str, tuple[float, int]]:
        return {DECODE: self._readers.load, MODEL: self._workers.load}

    def _to_read(self) -> Sequence[Any] | None:
        """The next items for a reader, where the hand-over has room for them."""
        items = self._lost[:REREAD_BATCH] or self._next
        being_read = sum(len(job.items) for job in self._readers.jobs)
        if items is None or not self._handover.has_room_for(len(items), being_read=being_read):
            return None
        if self._lost:
            self._lost = self._lost[REREAD_BATCH:]
        else:
            self._next = next(self._batches, None)
        return items

    def _was_read(self, job: Job, done: Done, payload: Any) -> None:
        refused = [(item, result) for item, result in zip(job.items, done.results, strict=True) if is_refusal(result)]
        self._handover.put(
            Handed(item, payload, at, size)
            for at, (item, size) in enumerate(zip(job.items, done.results, strict=True))
            if not is_refusal(size)
        )
        if refused:
            self._deliver(*zip(*refused, strict=True))

    def _to_work_on(self) -> Sequence[Handed] | None:
        """The next batch for a worker. A batch that is not full goes when nothing can fill it."""
        nothing_comes = not self._readers.jobs and ((self._next is None and not self._lost) or not self._workers.jobs)
        return self._handover.take(is_rest=nothing_comes)

    def _was_worked_on(self, job: Job, done: Done, _payload: Any) -> None:
        self._handover.release(job.items)
        items = [handed.item for handed in job.items]
        if done.results[0] is LOST:
            self._read_again(items)
        else:
            self._deliver(items, done.results)

    def _read_again(self, items: Sequence[Any]) -> None:
        """What was read of these has gone with the machine that held it."""
        for item in items:
            tries = self._rereads.get(id(item), (item, 0))[1] + 1
            self._rereads[id(item)] = (item, tries)
            if tries <= REREADS:
                self._lost.append(item)
            else:
                self._deliver([item], [LOST])


def is_refusal(result: Any) -> bool:
    return isinstance(result, Rejection)
