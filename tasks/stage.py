"""The driver of a data stage: what is outstanding goes through a pool, and what comes back is committed as it comes.

A kill at any moment leaves whole commits: the rows in `Stage.table` are the mark that an item is done, and are
written after every other row of the same item.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.commits import CommitRule, Committer, ItemRows, PartFailure
from tasks.pool import Part, PoolLimits, PoolSize, PoolSummary, Readers, Resources, Watch, Worker, run_here, run_pool
from tasks.ray_session import RaySession
from uniform_core.catalog import Candidates, Catalog
from uniform_core.errors import Rejection, WorkFailedError
from uniform_core.progress import Listener, ProgressEvent, silent

__all__ = ["CommitRule", "ItemRows", "PartFailure", "Stage", "StageFailedError", "StageSummary", "run_stage"]


@dataclass(frozen=True)
class Stage:
    """A stage of data work: which worker, how it is set up, and where its results go.

    The worker's items are the rows of the candidates, as dicts; its results are `ItemRows` or `Rejection`.
    `describe` puts a row in words for the ledger. `stage_fp` None: each candidate has its own in a column.
    `workers` is the size of the Ray pool; 0 runs the worker in the driver (for work that cannot crash and costs less
    than an actor's start). `batch` is what a worker is given at a time.
    With `read_by` the worker's items are `Seen`: the rows, and what that reader has made of each. `readers` are
    processes in which it does so; without them it is in front of each worker, in the same process, which is right
    where the work on what was read is cheap or every process has a core and no GPU.
    """

    name: str
    table: str
    worker: type[Worker]
    setup: Mapping[str, Any]
    workers: int | PoolSize
    batch: int
    describe: Callable[[Mapping[str, Any]], str]
    stage_fp: str | None = None
    read_by: Part | None = None
    readers: Readers | None = None
    resources: Resources = field(default_factory=Resources)
    limits: PoolLimits = field(default_factory=PoolLimits)
    commit: CommitRule = field(default_factory=CommitRule)


@dataclass(frozen=True)
class StageSummary:
    """What a stage did. Every candidate is in one of already_done, done, failed, waiting.

    `waiting` items failed in an earlier run and are not due (terminal, or to be retried later); `empty` ones are done,
    and nothing usable came of them. `by_error_class` counts what failed in this run, whole items and parts of items;
    `rows` are the rows that were added, by table; `deaths` the workers that were lost; `bottleneck` is what the pool
    waited for at its end; `note` is what else a person should read, in lines; `tables` are further tables by their
    titles, as rows.
    """

    stage: str
    candidates: int
    already_done: int
    done: int
    failed: int
    waiting: int
    wall_s: float
    cpu_s: float
    bytes: int = 0
    empty: int = 0
    deaths: int = 0
    by_error_class: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    bottleneck: str = ""
    note: str = ""
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def complete(
        cls, stage: str, candidates: int, *, done: int, wall_s: float, cpu_s: float, note: str = ""
    ) -> StageSummary:
        """Of a stage that does all of its candidates or raises: what it did not do now was done before."""
        before = candidates - done
        return cls(stage, candidates, before, done, failed=0, waiting=0, wall_s=wall_s, cpu_s=cpu_s, note=note)

    @property
    def accepted(self) -> int:
        """Candidates that have a result, of this run or an earlier one."""
        return self.already_done + self.done - self.empty

    @property
    def reject_fraction(self) -> float:
        """The share of candidates without a result, 0 where there are no candidates."""
        return 1.0 - self.accepted / self.candidates if self.candidates else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return asdict(self)

    def require_accepted(self, *, max_reject_fraction: float) -> StageSummary:
        """The summary itself, where its stage has done enough to go on.

        Raises StageFailedError where candidates were given and none has a result, or too many have none. Earlier
        runs count, so that a rerun with nothing left to do says the same as the run before it.
        """
        reasons = ", ".join(f"{n} {name}" for name, n in self.by_error_class.items()) or "all of them in earlier runs"
        if self.candidates and not self.accepted:
            raise StageFailedError(
                self,
                expected=f"a result for at least one of {self.candidates} items",
                found=f"none ({reasons})",
                fix="Look at `uniform failures list`, put the cause right, then `uniform failures retry`.",
            )
        if self.reject_fraction > max_reject_fraction:
            raise StageFailedError(
                self,
                expected=f"at most {max_reject_fraction:.0%} of {self.candidates} items rejected",
                found=f"{self.candidates - self.accepted} rejected ({reasons})",
                fix="Look at `uniform failures list`, or allow more with --max-reject-fraction.",
            )
        return self


class StageFailedError(WorkFailedError):
    """A stage accepted nothing, or lost too much; `summary` says what became of its items."""

    def __init__(self, summary: StageSummary, *, expected: str, found: str, fix: str) -> None:
        super().__init__(f"stage {summary.stage}", expected=expected, found=found, fix=fix)
        self.summary = summary

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.summary, self.expected, self.found, self.fix))


def _rebuild(summary: StageSummary, expected: str, found: str, fix: str) -> StageFailedError:
    """The error again on the other side of a process border."""
    return StageFailedError(summary, expected=expected, found=found, fix=fix)


def run_stage(
    stage: Stage,
    candidates: pa.Table | Candidates,
    *,
    catalog: Catalog,
    ray: RaySession,
    run_id: str,
    listener: Listener = silent,
) -> StageSummary:
    """What the stage did with its candidates: rows with a `work_key`, and `dataset` and `source_id` where there are.

    Of `Candidates` only what is to be done gets a key and is read. Candidates of sources that were taken down are not
    counted. Rejections are recorded and counted, not raised: see `StageSummary.require_accepted`. Where nothing is
    outstanding, Ray is not started. Raises what `run_pool` and `Catalog.insert` raise; what came before that is
    committed.
    """
    started_s, cpu_before_s = time.monotonic(), time.process_time()
    todo, counts = catalog.outstanding_of(stage.table, candidates, stage=stage.name)
    committer = Committer(catalog, stage=stage.name, done_table=stage.table, run_id=run_id, rule=stage.commit)
    watch = Watch()
    tally = _Tally(stage, todo.num_rows, committer=committer, listener=listener, watch=watch)
    with committer:
        pool = _work(stage, todo, ray=ray, tally=tally, committer=committer) if todo.num_rows else PoolSummary()
    return StageSummary(
        stage=stage.name,
        candidates=counts.candidates,
        already_done=counts.done,
        done=tally.done,
        failed=tally.failed,
        waiting=counts.waiting,
        wall_s=time.monotonic() - started_s,
        cpu_s=pool.cpu_s + time.process_time() - cpu_before_s,
        bytes=tally.bytes,
        empty=tally.empty,
        deaths=pool.deaths,
        by_error_class=dict(sorted(tally.reasons.items())),
        rows=dict(sorted(committer.inserted.items())),
        bottleneck=watch.bottleneck,
    )


def _work(stage: Stage, todo: pa.Table, *, ray: RaySession, tally: _Tally, committer: Committer) -> PoolSummary:
    batches = _batches(todo, stage.readers.chunk if stage.readers else stage.batch)
    tick = committer.commit_if_due
    words: dict[str, Any] = {"setup": stage.setup, "read_by": stage.read_by}
    if not stage.workers:
        return run_here(stage.worker, batches, on_result=tally.take, on_tick=tick, **words)
    ray.start()
    for resources in [stage.resources] + ([stage.readers.resources] if stage.readers else []):
        ray.require(resources)
    return run_pool(
        stage.worker,
        batches,
        size=stage.workers,
        on_result=tally.take,
        on_tick=tick,
        limits=stage.limits,
        bench=ray.bench,
        readers=stage.readers,
        batch=stage.batch,
        resources=stage.resources,
        watch=tally.watch,
        **words,
    )


class _Tally:
    """Counts what comes back, and hands it to the committer."""

    def __init__(self, stage: Stage, total: int, *, committer: Committer, listener: Listener, watch: Watch) -> None:
        self._stage, self._total, self._committer, self._listener = stage, total, committer, listener
        self.watch = watch
        self.done, self.failed, self.empty, self.bytes = 0, 0, 0, 0
        self.reasons: Counter[str] = Counter()

    def take(self, items: Sequence[Mapping[str, Any]], results: Sequence[ItemRows | Rejection]) -> None:
        for item, result in zip(items, results, strict=True):
            made = self._count(item, result)
            self.reasons.update(failure.rejection.error_class for failure in made.failures)
            self._committer.add(
                made.rows,
                made.failures,
                stage_fp=self._stage.stage_fp or item["stage_fp"],
                dataset=item.get("dataset", ""),
            )
        note = self.watch.bottleneck
        self._listener(ProgressEvent(self._stage.name, self.done + self.failed, self._total, self.failed, note))
        self._committer.commit_if_due()

    def _count(self, item: Mapping[str, Any], result: ItemRows | Rejection) -> ItemRows:
        if isinstance(result, Rejection):
            self.failed += 1
            return ItemRows({}, (PartFailure(item["work_key"], self._stage.describe(item), result),), accepted=0)
        self.done += 1
        self.empty += not result.accepted
        self.bytes += result.bytes
        return result


def _batches(table: pa.Table, size: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size).to_pylist()


def still_wanted(catalog: Catalog, candidates: pa.Table) -> pa.Table:
    """The candidates whose sources have not been taken down."""
    names = ["dataset", "source_id"]
    if not set(names) <= set(candidates.column_names) or not catalog.rows("SELECT 1 FROM tombstones LIMIT 1"):
        return candidates
    numbered = candidates.select(names).append_column("n", pa.array(np.arange(candidates.num_rows)))
    kept = catalog.query(
        "SELECT n FROM candidates ANTI JOIN tombstones USING (dataset, source_id) ORDER BY n",
        tables={"candidates": numbered},
    )
    return candidates.take(kept["n"])


def count_done(catalog: Catalog, table: str, candidates: pa.Table) -> int:
    """How many of the candidates have a live row."""
    sql = f"SELECT count(DISTINCT work_key) AS n FROM {table} SEMI JOIN wanted USING (work_key)"  # noqa: S608  (ours)
    return int(catalog.rows(sql, tables={"wanted": candidates.select(["work_key"])})[0]["n"])
