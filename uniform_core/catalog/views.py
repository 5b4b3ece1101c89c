"""A version of a table as a view of a DuckDB session."""

# ruff: noqa: S608  (names come from catalogs/ddl; files from Delta's own lists)
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from uniform_core.catalog.tables import all_tables

if TYPE_CHECKING:
    import duckdb

    from uniform_core.catalog.delta import Snapshot


def attach(con: duckdb.DuckDBPyConnection, schema: str, snapshot: Snapshot, *, name: str | None = None) -> None:
    """The table is in the schema: a view over the snapshot's files, or the empty table of its definition."""
    table = all_tables()[snapshot.table]
    place = f"{schema}.{name or table.name}"
    if not snapshot.files:
        con.execute(table.ddl.replace(f"CREATE TABLE {table.name}", f"CREATE TABLE {place}", 1))
        return
    columns = ", ".join(f"{c.name}::{c.type} AS {c.name}" for c in table.columns)
    none = ", ".join(f"NULL::{c.type} AS {c.name}" for c in table.columns)  # a later column may be in no file at all
    stored = f"FROM read_parquet({listed(snapshot.files)}, union_by_name = true)"
    every = f"{stored} UNION ALL BY NAME (SELECT {none} WHERE false)"
    con.execute(f"CREATE VIEW {place} AS SELECT {columns} FROM ({every})")


def listed(files: Iterable[str]) -> str:
    """SQL of a list of texts."""
    return "[" + ", ".join(_quoted(file) for file in files) + "]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
