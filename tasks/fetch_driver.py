"""The loop of the stage `fetch`: passes over what is outstanding and due, and a wait between them. Knows no Ray.

A clip that met a closed host leaves no trace: it stays outstanding. What failed is in the ledger with the moment of its
next try, by the policy of its class. So a kill at any moment costs at most what was not yet committed, and the next run
finds those files where they lie.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tasks.commits import CommitRule, Committer, PartFailure
from tasks.fetch_faults import SetupWatch
from tasks.fetch_news import News
from tasks.fetch_results import ONLY_COPIES, Books, Fetched, Nowhere
from tasks.pool import OnResult, PoolSummary
from uniform_core.catalog import Catalog
from uniform_core.catalog.fetch_cache import drop_parts
from uniform_core.corpus.fetching import ABSENT, STAGE, by_video, without_buried_videos
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Deferred, Failed
from uniform_core.fetching.policies import POLICIES, next_try
from uniform_core.fetching.time_left import Turns
from uniform_core.progress import Listener

FAR = datetime(9000, 1, 1, tzinfo=UTC)  # when every next try is due
PASS_S = 1200.0  # a next try waits for so long at most; at the end of a pass some workers have nothing to do
TICK_S = 1.0  # how often somebody who waits is told so
Row = Mapping[str, Any]
Result = Fetched | Failed | Deferred | Nowhere | Rejection


class Workers(Protocol):
    """Who works through the batches of a pass: a pool of Ray actors, or a stand-in."""

    def __call__(
        self, batches: Iterator[Sequence[Row]], *, on_result: OnResult, on_tick: Callable[[], None]
    ) -> PoolSummary:
        """What was done, after every row of every batch has been given to `on_result` exactly once."""


@dataclass(frozen=True)
class Time:
    """The clock and the sleep of a run; tests have their own. `now` is UTC."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]


class FetchLoop:
    """One run of the stage over its candidates (`fetch_candidates`).

    `closed_hosts` says which hosts are closed now, and until when; `refuse` why a line of an index is no clip; `turns`
    is what the sources of each dataset ask of hosts.
    """

    def __init__(
        self,
        candidates: pa.Table,
        *,
        catalog: Catalog,
        workers: Workers,
        closed_hosts: Callable[[], Mapping[str, datetime]],
        refuse: Callable[[Row], Rejection],
        turns: Mapping[str, Sequence[Turns]],
        run_id: str,
        stage_fp: str,
        patience_s: float,
        time: Time,
        listener: Listener,
        rng: random.Random,
        commit: CommitRule,
    ) -> None:
        self._candidates, self._catalog, self._workers = candidates, catalog, workers
        self._closed_hosts, self._refuse = closed_hosts, refuse
        self._run_id, self._stage_fp, self._commit = run_id, stage_fp, commit
        self._patience_s, self._time, self._rng = patience_s, time, rng
        self._tries: Counter[tuple[str, str]] = Counter()
        self._known_absent: set[str] = set()
        self._answers = 0  # but for those of closed hosts
        self._watch = SetupWatch(catalog)
        self.books = Books()
        self._news = News(self.books, turns=turns, now=time.now, patience_s=patience_s, listener=listener)

    def run(self) -> Books:
        """What was done, when nothing is left that could be tried within the patience.

        Raises ConfigError where a source cannot work as it is set up, and what the workers and the catalog raise; what
        came before that is committed.
        """
        before = self._last_failures()
        self._known_absent = {row["item_key"] for row in before if row["error_class"] == ABSENT}
        is_open = self._open().select(["work_key", "dataset", "video_id"]).to_pylist()
        self._news.begin(is_open, {row["item_key"]: row["retry_at"] for row in before})
        while True:
            due = self._without_absent(self._outstanding(self._time.now))
            if due.num_rows and not self._pass(due):
                continue
            until = self._next_moment()
            if until is None:
                return self.books
            if until - self._time.now() > timedelta(seconds=self._patience_s):
                self.books.waiting_until = until
                return self.books
            self._wait(until)

    def ask_copies(self, datasets: Collection[str]) -> None:
        """What is lost of these datasets, or waits for another try, is here where a copy has it: no host is asked.

        A clip that no copy has stays what it was.
        """
        has_file = self._catalog.query("SELECT DISTINCT work_key FROM downloads")["work_key"].to_pylist()
        is_due = self._outstanding(self._time.now)["work_key"].to_pylist()
        settled = pa.array([*has_file, *is_due], pa.string())
        is_lost = pc.invert(pc.is_in(self._candidates["work_key"], value_set=settled))
        is_theirs = pc.is_in(self._candidates["dataset"], value_set=pa.array(sorted(datasets), pa.string()))
        lost = self._candidates.filter(pc.and_(pc.and_(is_lost, is_theirs), pc.is_valid(self._candidates["video_id"])))
        if not lost.num_rows:
            return
        with self._committer() as committer:

            def take(rows: Sequence[Row], results: Sequence[Result]) -> None:
                for row, result in zip(rows, results, strict=True):
                    if isinstance(result, Fetched):
                        self._take(row, result, committer)

            marked = lost.append_column(ONLY_COPIES, pa.array([True] * lost.num_rows))
            done = self._workers(by_video(marked), on_result=take, on_tick=committer.commit_if_due)
            self.books.pool = self.books.pool.joined(done)
        self.books.rows.update(committer.inserted)

    # -- a pass -----------------------------------------------------------------------------------------------------

    def _pass(self, due: pa.Table) -> bool:
        """Whether all that is due was handed out; False where the pass was over before."""
        self.books.deferred.clear()
        self._tries = self._tries_so_far()
        is_clip = pc.is_valid(due["video_id"])
        with self._committer() as committer:

            def take(rows: Sequence[Row], results: Sequence[Result]) -> None:
                for row, result in zip(rows, results, strict=True):
                    self._take(row, result, committer)
                tick()

            def tick() -> None:
                self._news.tell()
                committer.commit_if_due()

            bad = due.filter(pc.invert(is_clip)).to_pylist()
            take(bad, [self._refuse(row) for row in bad])
            clips = due.filter(is_clip)
            left = by_video(clips)
            if clips.num_rows:
                done = self._workers(self._in_time(left), on_result=take, on_tick=tick)
                self.books.pool = self.books.pool.joined(done)
            for row, failed in self._watch.release():
                self._take_failure(row, failed, committer)
        self.books.rows.update(committer.inserted)
        self.books.closed = dict(self._closed_hosts())
        return next(left, None) is None

    def _in_time(self, batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
        """The batches that one pass hands out: what was put off meanwhile has its turn after it.

        A pass in which closed hosts were all that was met goes to its end: then they are waited for.
        """
        ends, before = self._time.now() + timedelta(seconds=PASS_S), self._answers
        while (self._time.now() < ends or self._answers == before) and (batch := next(batches, None)) is not None:
            yield batch

    def _committer(self) -> Committer:
        return Committer(
            self._catalog,
            stage=STAGE,
            done_table="downloads",
            run_id=self._run_id,
            rule=self._commit,
            clock=self._time.now,
        )

    def _take(self, row: Row, result: Result, committer: Committer) -> None:
        key, books = row["work_key"], self.books
        self._answers += not isinstance(result, Deferred)
        match result:
            case Deferred():
                books.deferred.add(key)
                books.closed[result.host] = result.until
            case Fetched():
                books.fetched.add(key)
                books.failed.pop(key, None)
                books.bytes += result.bytes
                self._news.answered(row, result.row["source"], retry_at=None)
                rows = {"downloads": [{**result.row, "work_key": key}]}
                committer.add(rows, (), stage_fp=self._stage_fp, dataset=row["dataset"])
                for other, failed in self._watch.came(result.row):
                    self._take_failure(other, failed, committer)
            case Nowhere():
                books.absent.add(key)
                self._news.answered(row, None, retry_at=None)
                if key not in self._known_absent:
                    self._fail(row, Rejection(ABSENT, result.message, terminal=False), None, committer)
            case Rejection() if row["video_id"] is None:
                self._fail(row, result, None, committer)
            case Rejection():  # the worker's process was lost to it (a crash, a limit): another time it may end well
                said = f"{result.error_class}: {result.message}"
                self._take_failure(row, Failed(FailureClass.TRANSIENT, said), committer)
            case Failed() if not self._watch.holds(row, result):
                self._take_failure(row, result, committer)

    def _take_failure(self, row: Row, failed: Failed, committer: Committer) -> None:
        policy = POLICIES[failed.failure]
        if policy.stops_run:
            raise ConfigError(
                f"stage {STAGE}, at {row['item']}",
                expected="sources that can work",
                found=failed.message,
                fix="Put that right, then run the same command again: what was fetched stays, and no clip is blamed.",
            )
        if policy.closes_host:  # the wall is the fleet's, not the clip's
            self.books.deferred.add(row["work_key"])
            return
        earlier, now = self._tries[row["work_key"], failed.failure], self._time.now()
        retry_at = None
        if not failed.is_final:
            retry_at = next_try(failed.failure, earlier, now=now, rng=self._rng, retry_after_s=failed.retry_after_s)
        rejection = Rejection(str(failed.failure), failed.message, terminal=retry_at is None)
        if rejection.terminal:
            drop_parts(self._catalog.media_dir, row["video_id"])  # nobody goes on with it
        self._news.answered(row, None, retry_at=retry_at)
        self._fail(row, rejection, retry_at, committer)
        if failed.failure is FailureClass.NO_FORMAT:
            self._watch.formatless(row["video_id"], failed.message)

    def _fail(self, row: Row, rejection: Rejection, retry_at: datetime | None, committer: Committer) -> None:
        """The ledger says why a clip has no file, and when it is tried again."""
        key = row["work_key"]
        self.books.failed[key] = rejection.error_class
        if rejection.terminal:
            self.books.final.add(key)
        failure = PartFailure(key, row["item"], rejection, retry_at=retry_at)
        committer.add({}, [failure], stage_fp=self._stage_fp, dataset=row["dataset"])

    # -- what is left -----------------------------------------------------------------------------------------------

    def _outstanding(self, clock: Callable[[], datetime]) -> pa.Table:
        """What has no file and may be tried then; without videos that were taken down, also since the run began."""
        found = self._catalog.outstanding("downloads", self._candidates, stage=STAGE, clock=clock)
        return without_buried_videos(self._catalog, found)

    def _open(self) -> pa.Table:
        """The candidates that have no file, and that may still get one."""
        return self._outstanding(lambda: FAR)

    def _without_absent(self, candidates: pa.Table) -> pa.Table:
        """The candidates but for those that no source had, in this run: nothing changes while it lasts."""
        absent = pa.array(sorted(self.books.absent), pa.string())
        return candidates.filter(pc.invert(pc.is_in(candidates["work_key"], value_set=absent)))

    def _last_failures(self) -> list[dict[str, Any]]:
        return [row for row in self._catalog.named_rows("failures") if row["stage"] == STAGE]

    def _tries_so_far(self) -> Counter[tuple[str, str]]:
        """How often each clip has failed by each class, since somebody last asked for it."""
        rows = self._catalog.rows(
            """
            SELECT item_key, error_class, count(*) AS tries FROM (
                SELECT *, max(created_at) FILTER (WHERE event = 'retry_requested') OVER (PARTITION BY item_key) AS asked
                FROM attempts WHERE stage = $stage
            ) WHERE event = 'failed' AND (asked IS NULL OR created_at > asked) GROUP BY ALL
            """,
            parameters={"stage": STAGE},
        )
        return Counter({(row["item_key"], row["error_class"]): row["tries"] for row in rows})

    def _next_moment(self) -> datetime | None:
        """When there is something to try again: a host that opens, a clip that is due. None where there is nothing."""
        open_keys = set(self._without_absent(self._open())["work_key"].to_pylist())
        if not open_keys:
            return None
        now = self._time.now()
        moments = []
        if not open_keys.isdisjoint(self.books.deferred):
            moments.append(min(self.books.closed.values(), default=now))
        retries = {row["item_key"]: row["retry_at"] for row in self._last_failures()}
        moments += [retries[key] or now for key in open_keys & retries.keys()]
        return max(min(moments, default=now), now + timedelta(seconds=TICK_S))

    def _wait(self, until: datetime) -> None:
        since = self._time.now()
        while (left_s := (until - self._time.now()).total_seconds()) > 0:
            self._news.tell(waiting=(since, until))
            self._time.sleep(min(TICK_S, left_s))
        self._news.waited(since)
