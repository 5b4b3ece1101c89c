"""The Delta Lake tables of a catalog: opening, insert-only merges, compaction, file lists.

A commit wins only where nobody has committed since its snapshot was read (delta-rs is told not to retry by itself);
a lost race reads again and retries with jitter, so that two writers of one key can never both win.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from uniform_core.catalog.delta_errors import (
    broken,
    first_line,
    is_storage,
    is_too_new,
    is_vanished,
    race_lost,
    refused,
    too_new,
    unreadable,
)
from uniform_core.catalog.gone_kept import GoneKeeper
from uniform_core.catalog.tables import KEY, Table
from uniform_core.errors import CatalogError
from uniform_core.files import lock

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable, WriterProperties

ABSENT: Final = -1  # the version of a table that nobody has written yet: it reads as empty
RACE_BOUND_S: Final = 120.0
_VANISHED_S: Final = 3.0  # a file that vacuum on another machine took away is not looked for much longer
_LONGEST_PAUSE_S: Final = 1.0
CONFIGURATION: Final = {
    # A pinned version must stay readable: the log is never cut.
    "delta.logRetentionDuration": "interval 365000 days",
    "delta.enableExpiredLogCleanup": "false",
    "delta.dataSkippingStatsColumns": KEY,
    "delta.checkpointInterval": "50",
}
ROW_GROUP: Final = 65_536
"""Rows that are read at once: DuckDB skips whole groups by their least and greatest values."""
_SORT_BYTES: Final = 1 << 30  # of rows in memory while they are put in order; the rest waits on disk
Result = TypeVar("Result")


@dataclass(frozen=True)
class Snapshot:
    """One version of a table, and the files that hold it."""

    table: str
    version: int
    files: tuple[str, ...]


class DeltaTables:
    """The tables under one folder, each in a folder of its name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gone = GoneKeeper(root)

    @property
    def commit_lock(self) -> Path:
        """Held shared while files of a commit are written, alone while vacuum removes files."""
        return self.root / ".commit.lock"

    def path(self, table: str) -> Path:
        return self.root / table

    def open(self, table: str, version: int | None = None) -> DeltaTable | None:
        """The table at a version, None where it was not written yet. Raises CatalogError, FormatTooNewError."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        if version == ABSENT or not (self.path(table) / "_delta_log").is_dir():
            self._see_absent(table, version)
            return None
        try:
            return DeltaTable(str(self.path(table)), version=version)
        except TableNotFoundError:  # a writer died between making the folder and the first commit
            self._see_absent(table, version)
            return None
        except (DeltaError, OverflowError) as error:  # the second for a version below 0, or beyond 64 bits
            if is_too_new(error):
                raise too_new(f"table {table}", first_line(error)) from error
            raise unreadable(table, version, error) from error

    def snapshot(self, table: str, version: int | None = None) -> Snapshot:
        """The files of a version of a table; none where it was not written yet."""
        opened = self.open(table, version)
        if opened is None:
            return Snapshot(table, ABSENT, ())
        # Delta gives URIs; of these only the (plain) names are taken, since the folder may have a name that is escaped.
        files = tuple(str(self.path(table) / uri.rsplit("/", 1)[-1]) for uri in opened.file_uris())
        return Snapshot(table, opened.version(), files)

    def snapshot_version(self, table: str) -> int:
        """The newest version of a table; -1 where it was not written yet."""
        opened = self.open(table)
        return ABSENT if opened is None else int(opened.version())

    def insert(self, table: Table, batch: pa.Table) -> int:
        """How many rows of a checked batch were new and are now committed.

        Raises StorageError where the disk refuses, FormatTooNewError where a newer program wrote the table,
        CatalogError where a file of the table is missing or torn, or the race is lost for two minutes.
        """
        return self._racing(table.name, lambda: self._merge(table, batch))

    def delete(self, table: Table, keys: list[str]) -> int:
        """How many rows with these keys are gone from the latest version."""
        listed = ", ".join(f"'{key}'" for key in keys)

        def remove() -> int:
            opened = self.open(table.name)
            if opened is None or not keys:
                return 0
            return int(opened.delete(f"{KEY} IN ({listed})", commit_properties=_once())["num_deleted_rows"])

        return self._racing(table.name, remove)

    def add_columns(self, table: Table, names: Sequence[str]) -> list[str]:
        """The columns of these that a table lacked and has now: null in every row. None where it was not made.

        Raises what `insert` raises.
        """

        def add() -> list[str]:
            from deltalake.schema import Field

            opened = self.open(table.name)
            if opened is None:
                return []
            known = {field.name for field in opened.schema().fields}
            fresh = [Field.from_arrow(table.arrow_schema.field(name)) for name in names if name not in known]
            if fresh:
                opened.alter.add_columns(fresh, commit_properties=_once())
            return [field.name for field in fresh]

        return [] if self.open(table.name) is None else self._racing(table.name, add)

    def compact(self, table: Table) -> int:
        """How many files were rewritten as fewer, larger ones, in the table's order. Rows stay the same.

        A table that has an order is rewritten as a whole, unless it is one file, or nothing was written since that was
        done.
        """

        def rewrite() -> int:
            opened = self.open(table.name)
            if opened is None:
                return 0
            how = {"writer_properties": writer_properties(), "commit_properties": _once()}
            if not table.cluster:
                return int(opened.optimize.compact(**how)["numFilesRemoved"])
            if len(opened.file_uris()) < 2 or opened.history(1)[0]["operation"] == "OPTIMIZE":
                return 0
            done = opened.optimize.z_order(list(table.cluster), max_spill_size=_SORT_BYTES, **how)
            return int(done["numFilesRemoved"])

        return self._racing(table.name, rewrite)

    def _merge(self, table: Table, batch: pa.Table) -> int:
        opened = self.open(table.name) or self._create(table)
        known = {field.name for field in opened.schema().fields}
        if known - set(table.names):
            raise too_new(f"table {table.name}", f"the columns {', '.join(sorted(known - set(table.names)))}")
        merge = opened.merge(
            batch,
            f"t.{KEY} = s.{KEY}",
            source_alias="s",
            target_alias="t",
            merge_schema=known != set(table.names),  # columns are only ever added
            writer_properties=writer_properties(),
            commit_properties=_once(),
        )
        return int(merge.when_not_matched_insert_all().execute()["num_target_rows_inserted"])

    def _create(self, table: Table) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            return DeltaTable.create(
                str(self.path(table.name)), schema=table.arrow_schema, configuration=dict(CONFIGURATION)
            )
        except DeltaError:  # somebody else was first
            opened = self.open(table.name)
            if opened is None:
                raise
            return opened

    def _see_absent(self, table: str, version: int | None) -> None:
        if version is not None and version != ABSENT:
            raise CatalogError(
                f"table {table} at version {version}",
                expected="a version that was written",
                found="a table that does not exist yet",
                fix="See `uniform catalog history`.",
            )

    def _racing(self, table: str, act: Callable[[], Result]) -> Result:
        """What `act` returns, tried again with a growing random pause while others commit first."""
        from deltalake.exceptions import CommitFailedError, DeltaError

        started, pause_s = time.monotonic(), 0.01
        while True:
            try:
                with lock(self.commit_lock, shared=True):
                    return act()
            except (DeltaError, OSError) as error:
                waited_s = time.monotonic() - started
                if is_storage(error):
                    raise refused(table, error) from error
                if is_too_new(error):
                    raise too_new(f"table {table}", first_line(error)) from error
                if not isinstance(error, CommitFailedError) and (not is_vanished(error) or waited_s > _VANISHED_S):
                    raise broken(table, error) from error
                if waited_s > RACE_BOUND_S:
                    raise race_lost(table, error, bound_s=RACE_BOUND_S) from error
            time.sleep(pause_s * secrets.randbelow(1000) / 1000)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def writer_properties() -> WriterProperties:
    """How data files are written."""
    from deltalake import WriterProperties

    return WriterProperties(max_row_group_size=ROW_GROUP)


def _once() -> Any:
    from deltalake import CommitProperties

    return CommitProperties(max_commit_retries=0)
