"""Fetch: the file of every clip that the run's indexes list, video by video, by workers who share what hosts allow.

Data without an index has nothing to do here, and pays for nothing: no Ray, no import of what fetches.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import pyarrow as pa

from tasks.context import RunContext
from tasks.fetch_results import Books
from tasks.stage import CommitRule, StageFailedError, StageSummary, count_done, still_wanted
from uniform_core.catalog.store import utc_now
from uniform_core.corpus.fetching import (
    ABSENT,
    STAGE,
    attrition,
    fetch_candidates,
    has_indexes,
    index_datasets,
    prepare_indexes,
    states,
    without_buried_videos,
)
from uniform_core.corpus.fingerprints import fetch_fingerprint
from uniform_core.corpus.items import item_from_json
from uniform_core.corpus.unlisted import list_differences
from uniform_core.errors import Rejection
from uniform_core.files import try_lock
from uniform_core.progress import ProgressEvent

if TYPE_CHECKING:
    from tasks.fetch_driver import Time, Workers

COMMIT = CommitRule(rows=256, seconds=10.0)
TABLE = "clips by split"  # the title of the table of attrition


def run_fetch(context: RunContext, *, time_of_run: Time | None = None) -> list[StageSummary]:
    """Bring what the run's indexes list and `downloads` has not. Nothing for data without an index.

    Raises ConfigError where a source cannot work as it is set up, StageFailedError where too many clips are lost.
    """
    if not has_indexes(context.config):
        return []
    prepare_indexes(context.config, on_progress=context.listener)
    started_s, cpu_before_s = time.monotonic(), time.process_time()
    listed = fetch_candidates(context.config, context.listed)
    wanted = without_buried_videos(context.catalog, still_wanted(context.catalog, listed))
    before = count_done(context.catalog, "downloads", wanted)
    books = _bring(context, wanted, time_of_run) if wanted.num_rows else Books()
    table = attrition(states(context.catalog, listed))
    summary = StageSummary(
        stage=STAGE,
        candidates=wanted.num_rows,
        already_done=before,
        done=len(books.fetched),
        failed=len(books.failed),
        waiting=wanted.num_rows - before - len(books.fetched) - len(books.failed),
        wall_s=time.monotonic() - started_s,
        cpu_s=time.process_time() - cpu_before_s + books.pool.cpu_s,
        bytes=books.bytes,
        deaths=books.pool.deaths,
        by_error_class=dict(sorted(Counter(books.failed.values()).items())),
        rows=dict(sorted(books.rows.items())),
        note="\n".join(filter(None, [_note(books, table), *list_differences(context.config, official_only=True)])),
        tables={TABLE: table},
    )
    config = context.config
    limits = {one.name: config.reject_limit_of(one) for one in index_datasets(config).values()}
    _require_enough(summary, table, limits=limits)
    return [summary]


def _bring(context: RunContext, wanted: pa.Table, time_of_run: Time | None) -> Books:
    from tasks.fetch_copies import COPIES, CopiesAsked
    from tasks.fetch_driver import FetchLoop, Time  # here, and below: data without an index needs none of it
    from tasks.fetch_worker import SCRATCH
    from uniform_core.corpus.fetch_plan import turns_of

    clock = time_of_run or Time(utc_now, time.sleep)
    work_dir = context.settings.fetching_dir
    with _alone(work_dir, context, clock) if _asks_hosts(context) else nullcontext():
        sweep(work_dir / SCRATCH)
        copies = CopiesAsked(work_dir / COPIES, index_datasets(context.config).values())
        with _workers(context, work_dir) as (workers, closed_hosts):
            loop = FetchLoop(
                wanted,
                catalog=context.catalog,
                workers=workers,
                closed_hosts=closed_hosts,
                refuse=_refuse(context),
                turns=turns_of(context.config),
                run_id=context.run_id,
                stage_fp=fetch_fingerprint(),
                patience_s=context.config.fetch.patience_s,
                time=clock,
                listener=context.listener,
                rng=random.Random(),  # noqa: S311  (moments of next tries: spread, not secret)
                commit=COMMIT,
            )
            if due := copies.due:
                loop.ask_copies(due)
                copies.done(due)
            return loop.run()


def _asks_hosts(context: RunContext) -> bool:
    from uniform_core.corpus.fetch_plan import hosts_of

    indexes = index_datasets(context.config).values()
    return any(hosts_of(source) for dataset in indexes for source in dataset.sources)


def sweep(scratch: Path) -> None:
    """What workers have left in the folder whose process is gone, by a kill, goes too."""
    for folder in scratch.glob("*-*"):
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(work_dir: Path, context: RunContext, clock: Time) -> Iterator[None]:
    """The block runs where no other process fetches for this root: two would ask hosts twice as often as they allow."""
    while True:
        with try_lock(work_dir / "lock") as is_ours:
            if is_ours:
                yield
                return
        context.listener(ProgressEvent(STAGE, 0, 0, note="waiting for another run that fetches for this root"))
        clock.sleep(1.0)


@contextmanager
def _workers(context: RunContext, work_dir: Path) -> Iterator[tuple[Workers, Callable[[], Mapping[str, datetime]]]]:
    """The pool of Ray actors, started by the first pass, and what says which hosts are closed."""
    from tasks.fetch_pool import FetchPool

    datasets = {index: dataset.model_dump_json() for index, dataset in index_datasets(context.config).items()}
    pool = FetchPool(
        context.ray,
        datasets=datasets,
        media_dir=context.settings.media_dir,
        work_dir=work_dir,
        size=context.config.fetch.workers,
        rules=context.config.fetch.hosts,
    )
    try:
        yield pool, pool.closed_hosts
    finally:
        pool.close()


def _refuse(context: RunContext) -> Callable[[Mapping[str, Any]], Rejection]:
    """What tells why a line of an index is no clip."""

    def refuse(row: Mapping[str, Any]) -> Rejection:
        item = item_from_json(json.loads(row["source"]))
        refused = context.config.datasets[row["dataset_index"]].fetch(item, Path())
        assert isinstance(refused, Rejection), f"{row['item']} has no video, and is no bad line"
        return refused

    return refuse


def _note(books: Books, table: Sequence[Mapping[str, Any]]) -> str:
    """What is left to wait for, and until when."""
    waiting = sum(row["waiting"] for row in table)
    if not waiting:
        return ""
    closed = "; ".join(f"{host} is closed until {_when(until)}" for host, until in sorted(books.closed.items()))
    next_try = "" if books.waiting_until is None else f"; the next try is due at {_when(books.waiting_until)}"
    return f"{waiting} clips wait{next_try}{f' ({closed})' if closed else ''}. The same command goes on."


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _require_enough(summary: StageSummary, table: Sequence[Mapping[str, Any]], *, limits: Mapping[str, float]) -> None:
    """Raises StageFailedError where clips were decided and none is ok, or too many of one dataset are lost.

    A wait is no loss, nor is what is absent: nobody has said that there were such files. `limits` are by dataset.
    """
    counts = [_Counts.of([row for row in table if row["dataset"] == name], name) for name in limits]
    reasons = ", ".join(f"{n} {name}" for name, n in summary.by_error_class.items()) or "all of them in earlier runs"
    words = None
    if summary.candidates and not any(one.ok for one in counts):
        lost, waiting = sum(one.lost for one in counts), sum(one.waiting for one in counts)
        words = (
            f"a file for at least one of {summary.candidates} clips",
            f"none ({lost} lost, {waiting} wait; {reasons})",
        )
    elif far := [one for one in counts if one.decided and one.lost / one.decided > limits[one.dataset]]:
        words = (
            ", ".join(f"at most {limits[one.dataset]:.0%} of {one.decided} clips of {one.dataset} lost" for one in far),
            ", ".join(f"{one.lost} lost" for one in far) + f" ({reasons})",
        )
    if words is not None:
        raise StageFailedError(
            summary,
            expected=words[0],
            found=f"{words[1]}. {summary.note}".removesuffix(". "),
            fix="Look at `uniform failures list --stage fetch` and `uniform missing`, or allow more with "
            "--max-reject-fraction.",
        )


@dataclass(frozen=True)
class _Counts:
    """The clips of one dataset: those with a file, those that are lost, those that wait."""

    dataset: str
    ok: int
    lost: int
    waiting: int

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], dataset: str) -> Self:
        """Of its rows in the table of attrition."""
        ok, waiting, listed = (sum(row[name] for row in rows) for name in ("ok", "waiting", "listed"))
        others = sum(row.get(name, 0) for row in rows for name in (ABSENT, "taken_down"))
        return cls(dataset, ok, listed - ok - waiting - others, waiting)

    @property
    def decided(self) -> int:
        return self.ok + self.lost
