"""Results on their way into the catalog: gathered, stamped, and committed in the order that a kill cannot spoil."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from uniform_core.catalog import Catalog, Failure
from uniform_core.catalog.store import Clock, utc_now
from uniform_core.errors import Rejection

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PartFailure:
    """A part of an item that was rejected: the key that its row would have had, the part in words, and why.

    `retry_at` is the earliest next try of what is not terminal; None is at once.
    """

    item_key: str
    item: str
    rejection: Rejection
    retry_at: datetime | None = None


@dataclass(frozen=True)
class ItemRows:
    """What a worker made of one item: rows by table, and the parts of the item that were rejected.

    Rows need no stage_fp, run_id and created_at: the driver stamps them. `accepted` is 0 where the item is done but
    nothing usable came of it; `bytes` is what was written beside the rows.
    """

    rows: Mapping[str, Sequence[Row]]
    failures: Sequence[PartFailure] = ()
    accepted: int = 1
    bytes: int = 0


@dataclass(frozen=True)
class CommitRule:
    """A commit every so many rows or seconds, whichever comes first."""

    rows: int = 512
    seconds: float = 30.0


class Committer:
    """Rows of one stage that are not yet in the catalog. Used as a block: at its end, all of them are.

    They are also written when the block ends by an exception, unless it was the catalog's own. `done_table` is the
    table whose rows mark an item as done: it is written last.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        stage: str,
        done_table: str,
        run_id: str,
        rule: CommitRule,
        clock: Clock = utc_now,
    ) -> None:
        self._catalog, self._stage, self._done_table = catalog, stage, done_table
        self._run_id, self._rule, self._clock = run_id, rule, clock
        self._rows: defaultdict[str, list[Row]] = defaultdict(list)
        self._failures: list[Failure] = []
        self._since_s: float | None = None
        self._is_broken = False
        self.inserted: Counter[str] = Counter()  # rows really added, by table

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_broken:
            self.commit()

    def add(
        self, rows: Mapping[str, Sequence[Row]], failures: Sequence[PartFailure], *, stage_fp: str, dataset: str
    ) -> None:
        """Take the rows and the failures of one item."""
        stamp = {"stage_fp": stage_fp, "run_id": self._run_id, "created_at": self._clock()}
        for table, several in rows.items():
            self._rows[table].extend({**stamp, **row} for row in several)
        self._failures.extend(
            Failure(
                stage=self._stage,
                item_key=failure.item_key,
                item=failure.item,
                rejection=failure.rejection,
                stage_fp=stage_fp,
                run_id=self._run_id,
                dataset=dataset,
                retry_at=failure.retry_at,
            )
            for failure in failures
        )
        if self._since_s is None:
            self._since_s = time.monotonic()

    def commit_if_due(self) -> None:
        """Commit where enough rows wait, or the oldest has waited long enough."""
        if self._since_s is None:
            return
        waiting = sum(len(rows) for rows in self._rows.values()) + len(self._failures)
        if waiting >= self._rule.rows or time.monotonic() - self._since_s >= self._rule.seconds:
            self.commit()

    def commit(self) -> None:
        """Write everything that waits.

        Rows leave their list after they are written: inserts are idempotent, so an interrupted commit is simply
        repeated whole.
        """
        try:
            for table in sorted(self._rows.keys() - {self._done_table}):
                self._insert(table)
            if self._failures:
                self._catalog.record_failures(self._failures, clock=self._clock)
                self._failures = []
            self._insert(self._done_table)
        except Exception:
            self._is_broken = True
            raise
        self._since_s = None

    def _insert(self, table: str) -> None:
        rows = self._rows[table]
        if rows:
            self.inserted[table] += self._catalog.insert(table, rows)
            self._rows[table] = []
