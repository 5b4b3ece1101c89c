"""A catalog's places, and reading and writing of rows: what everything else of the catalog stands on."""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from uniform_core.catalog.delta import DeltaTables
from uniform_core.catalog.session import beyond_the_views, fetch, open_session, run, sql_error
from uniform_core.catalog.tables import Table, all_tables, table_named
from uniform_core.clock import Clock as Clock
from uniform_core.clock import utc_now as utc_now
from uniform_core.errors import CatalogError, ConfigError, IntegrityError
from uniform_core.files import lock

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from uniform_core.catalog.batch import Rows
    from uniform_core.catalog.bounds import Bounds

Parameters = Sequence[Any] | Mapping[str, Any]
Result = TypeVar("Result")
_READ_TRIES: Final = 8  # a reader loses a race only where compaction and vacuum both pass between two of its steps


class Store:
    """The tables, the tensor shards and the media of one root."""

    def __init__(self, root: Path, *, tensors_dir: Path, media_dir: Path, checkpoints_dir: Path) -> None:
        self.root, self.tensors_dir, self.media_dir, self.checkpoints_dir = (
            root,
            tensors_dir,
            media_dir,
            checkpoints_dir,
        )
        self.delta = DeltaTables(root)

    @property
    def tensors_lock(self) -> Path:
        """Held shared while rows that name shards are committed, alone while shards are removed."""
        return self.root / ".tensors.lock"

    def insert(self, table: str, rows: Rows) -> int:
        """How many of the rows were new, and are now committed; rows whose work_key is there already are left out.

        Raises SchemaError (nothing is written), IntegrityError where a row names a shard that is missing, StorageError.
        """
        from uniform_core.catalog.batch import checked_batch

        definition = table_named(table)
        if not len(rows):
            return 0
        batch = checked_batch(definition, rows)
        if not definition.has_tensors:
            return self.delta.insert(definition, batch)
        with lock(self.tensors_lock, shared=True):
            self._see_shards(table, batch)
            return self.delta.insert(definition, batch)

    def _see_shards(self, table: str, batch: pa.Table) -> None:
        for shard in batch["shard"].unique().to_pylist():
            is_inside = not Path(shard).is_absolute() and ".." not in Path(shard).parts
            if not is_inside or not (self.tensors_dir / shard).is_file():
                raise IntegrityError(
                    f"table {table}, tensor shard {shard}",
                    expected=f"a file in {self.tensors_dir} before its rows are written",
                    found="none (never finished, or collected because its rows came after the grace period)",
                    fix="Run the stage again; nothing of the batch was written.",
                )

    def read(
        self, table: str, *, version: int | None = None, include_removed: bool = False, columns: Sequence[str] = ()
    ) -> pa.Table:
        """The rows of a table at a version (the newest where None), without what was taken down, in no fixed order."""
        definition = table_named(table)
        unknown = set(columns) - set(definition.names)
        if unknown:
            raise ConfigError(
                f"table {table}",
                expected="columns of " + ", ".join(definition.names),
                found=", ".join(sorted(unknown)),
                fix="Correct the names.",
            )
        schema = "stored" if include_removed else "main"
        versions = None if version is None else {table: version}
        rows = self.query(f"SELECT {', '.join(columns) or '*'} FROM {schema}.{table}", versions=versions)
        return _as_defined(rows, definition)

    def query(
        self,
        sql: str,
        *,
        parameters: Parameters = (),
        versions: Mapping[str, int] | None = None,
        others: Mapping[str, tuple[str, int]] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
        read_only_sql: bool = False,
        bounds: Bounds | None = None,
        max_rows: int | None = None,
    ) -> pa.Table:
        """What one SQL statement returns over the tables (without what was taken down) and the given Arrow `tables`.

        `others` are further views by their names: of a table, at another version than `versions` says.
        `read_only_sql` is for SQL that a person typed: one SELECT, no files, no settings; `bounds` are its time and
        memory. With `max_rows` the first ones alone, and no others are computed. Raises CatalogError.
        """
        return self._with_session(
            sql,
            lambda con: fetch(con, sql, parameters, max_rows=max_rows),
            versions=versions,
            others=others,
            registered=tables,
            read_only=read_only_sql,
            bounds=bounds,
        )

    def rows(
        self,
        sql: str,
        *,
        parameters: Parameters = (),
        versions: Mapping[str, int] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> list[dict[str, Any]]:
        """What one SQL statement returns, as dicts; for small results, without importing Arrow."""

        def dicts(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
            relation = run(con, sql, parameters)
            return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]

        return self._with_session(sql, dicts, versions=versions, registered=tables)

    def stream(
        self,
        sql: str,
        *,
        parameters: Parameters = (),
        versions: Mapping[str, int] | None = None,
        batch_rows: int = 4096,
    ) -> Iterator[pa.RecordBatch]:
        """The batches of a long result, one after the other; memory holds a few of them.

        Raises CatalogError, also midway where vacuum takes a file away that no version in its retention needs.
        """
        import duckdb

        try:
            with open_session(self.delta, sql, versions=versions, own=True) as con:
                yield from run(con, sql, parameters).to_arrow_reader(batch_rows)
        except duckdb.IOException as error:
            raise _file_gone(versions, error) from error

    def versions(self, tables: Iterable[str] | None = None) -> dict[str, int]:
        """The newest version of each table (all where None); -1 where nothing was written yet."""
        names = all_tables() if tables is None else [table_named(name).name for name in tables]
        return {name: self.delta.snapshot_version(name) for name in names}

    def _with_session(
        self,
        sql: str,
        fetch: Callable[[duckdb.DuckDBPyConnection], Result],
        *,
        versions: Mapping[str, int] | None = None,
        others: Mapping[str, tuple[str, int]] | None = None,
        registered: Mapping[str, pa.Table] | None = None,
        read_only: bool = False,
        bounds: Bounds | None = None,
    ) -> Result:
        """What `fetch` makes of a session; opened anew where compaction and vacuum took files away in between."""
        import duckdb

        for name in [*(versions or {}), *(table for table, _ in (others or {}).values())]:
            table_named(name)
        for last in [False] * (_READ_TRIES - 1) + [True]:
            try:
                with open_session(
                    self.delta,
                    sql,
                    versions=versions,
                    others=others,
                    registered=registered,
                    read_only=read_only,
                    bounds=bounds,
                ) as con:
                    if read_only:
                        _only_select(con, sql)
                    return fetch(con)
            except duckdb.IOException as error:
                if last:
                    raise _file_gone(versions, error) from error
            except duckdb.Error as error:
                raise (_file_gone(versions, error) if ".parquet" in str(error) else sql_error(error)) from error
        raise AssertionError("the last try returns or raises")


def _as_defined(rows: pa.Table, table: Table) -> pa.Table:
    """The rows in the table's own Arrow types. A later column is null in older rows, whatever it says."""
    import pyarrow as pa

    fields = [table.arrow_schema.field(name) for name in rows.column_names]
    return rows.cast(pa.schema([f.with_nullable(f.nullable or rows[f.name].null_count > 0) for f in fields]))


def _only_select(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Returns where a statement is one SELECT over the tables as people see them; else raises CatalogError."""
    kinds = [statement.type.name for statement in con.extract_statements(sql)]
    if kinds != ["SELECT"]:
        raise CatalogError(
            "SQL",
            expected="one SELECT",
            found=", ".join(kinds) or "nothing",
            fix="The catalog is written by stages only.",
        )
    if hidden := beyond_the_views(sql):
        raise CatalogError(
            "SQL",
            expected="tables by their plain names",
            found=", ".join(hidden),
            fix="What was taken down cannot be read.",
        )


def _file_gone(versions: Mapping[str, int] | None, error: Exception) -> CatalogError:
    return CatalogError(
        "catalog" if not versions else ", ".join(f"{table} at version {v}" for table, v in versions.items()),
        expected="every file of the version",
        found=str(error).splitlines()[0],
        fix="A vacuumed version cannot be read back: pin what must stay. Else run `uniform catalog verify`.",
    )
