"""DuckDB in memory over Delta's own file lists: every table a view, what was taken down already gone.

Schemas of a session: `main` holds the tables as people see them, `stored` the same with what was taken down, `latest`
the newest versions, from which is derived what is gone: a tombstone applies to every version that is read.
"""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from uniform_core.catalog.bounds import bounded
from uniform_core.catalog.gone import TOMBSTONES, gone_rule, hiding
from uniform_core.catalog.gone_views import attach_gone
from uniform_core.catalog.memory import memory_connection
from uniform_core.catalog.tables import all_tables
from uniform_core.catalog.views import attach, listed
from uniform_core.errors import CatalogError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from uniform_core.catalog.bounds import Bounds
    from uniform_core.catalog.delta import DeltaTables

_GAP: Final = r'"?(?:\s|--[^\n]*\n|/\*.*?\*/)*'  # what may stand between a name and its dot or bracket
# The schemas that also hold what was taken down; the functions that read a table by a text, which can be put together.
_HIDING: Final = re.compile(rf"\b(?:stored|latest){_GAP}\.|\b(?:query|query_table){_GAP}\(", re.IGNORECASE | re.DOTALL)


@contextmanager
def open_session(
    delta: DeltaTables,
    sql: str,
    *,
    versions: Mapping[str, int] | None = None,
    others: Mapping[str, tuple[str, int]] | None = None,
    registered: Mapping[str, pa.Table] | None = None,
    read_only: bool = False,
    bounds: Bounds | None = None,
    own: bool = False,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in which the tables of an SQL text are views at these versions (the newest where not named).

    `others` are further views by their names: of a table, at another version.
    `own` is for results that are read over a long time. `read_only` also takes the file system away, but for the files
    of the tables, and locks the configuration; `bounds` are its block's, and go with it.
    """
    assert read_only or bounds is None
    pinned = {name: (name, (versions or {}).get(name)) for name in tables_in(sql)} | dict(others or {})
    snapshots = {name: delta.snapshot(table, version) for name, (table, version) in pinned.items()}
    seen = {name: snapshots[name].table for name in [*_seen_in(sql), *(others or {})]}
    with memory_connection(own=own or read_only) as con:
        con.execute("CREATE SCHEMA stored; CREATE SCHEMA latest")
        for name, snapshot in snapshots.items():
            attach(con, "stored", snapshot, name=name)
        files = [file for snapshot in snapshots.values() for file in snapshot.files]
        files += _attach_visible(con, delta, seen)
        for name, table in (registered or {}).items():
            con.register(name, table)
        if read_only:
            if bounds is not None:
                con.execute(bounds.memory_sql())
            con.execute(f"SET allowed_paths = {listed(files)}")
            con.execute("SET enable_external_access = false; SET lock_configuration = true")
        with nullcontext() if bounds is None else bounded(con, bounds):
            yield con


def tables_in(sql: str) -> list[str]:
    """The tables whose names occur in a text of SQL: at least those that it reads."""
    words = set(re.findall(r"\w+", sql.lower()))
    return [name for name in all_tables() if name in words]


def _seen_in(sql: str) -> list[str]:
    """Those of them that it may read as people see them: not only as `stored.name`."""
    return [name for name in tables_in(sql) if re.search(rf"(?<!stored\.)\b{name}\b", sql, re.IGNORECASE)]


def beyond_the_views(sql: str) -> list[str]:
    """What in a text of SQL may reach past the tables as people see them; words inside strings count too."""
    return sorted(set(_HIDING.findall(sql)))


def require_condition(text: str) -> None:
    """Returns where a text is one condition and no more. Raises CatalogError.

    Put in brackets it could close them, and go on as another statement, a union or an order.
    """
    import duckdb

    if not text.strip():
        raise _no_condition(text, "nothing")
    with memory_connection() as con:
        sql = f"SELECT 1 FROM rows WHERE (\n{text}\n)"
        try:
            [(tree,)] = con.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
        except duckdb.Error as error:
            raise _no_condition(text, str(error)) from error
    parsed = json.loads(tree)
    if parsed["error"]:
        raise _no_condition(text, parsed["error_message"])
    nodes = [statement["node"] for statement in parsed["statements"]]
    plain = [node for node in nodes if node["type"] == "SELECT_NODE" and not any(node.get(part) for part in _BEYOND)]
    if len(nodes) != 1 or len(plain) != 1:
        raise _no_condition(text, "more than a condition")


_BEYOND: Final = ("modifiers", "group_expressions", "having", "qualify", "sample")


def _no_condition(text: str, found: str) -> CatalogError:
    return CatalogError(
        "SQL", expected="one condition, as after WHERE", found=f"{text!r}: {found}", fix="Correct the condition."
    )


def _attach_visible(con: duckdb.DuckDBPyConnection, delta: DeltaTables, seen: Mapping[str, str]) -> list[str]:
    """The views of `main`, their tables by their names; returns the further files that they read."""
    tombstones = delta.snapshot(TOMBSTONES)
    rules = {name: gone_rule(all_tables()[table]) for name, table in seen.items()}
    applied = {rule for rule in rules.values() if rule} if tombstones.files else set()
    further = attach_gone(con, delta, applied) if applied else []
    for name, rule in rules.items():
        hidden = hiding(rule if rule in applied else None)
        con.execute(f"CREATE VIEW main.{name} AS SELECT r.* FROM stored.{name} r{hidden}")
    return further


def run(con: duckdb.DuckDBPyConnection, sql: str, parameters: Any) -> duckdb.DuckDBPyRelation:
    """The relation of one statement; an empty one where the statement returns nothing."""
    relation = con.sql(sql, params=parameters or None)
    return relation if relation is not None else con.sql("SELECT NULL AS nothing WHERE false")


def fetch(con: duckdb.DuckDBPyConnection, sql: str, parameters: Any, *, max_rows: int | None) -> pa.Table:
    """The rows of one statement: all where `max_rows` is None, else the first ones, and no others are computed."""
    if max_rows is None:
        return run(con, sql, parameters).to_arrow_table()
    relation = run(con, _without_end(sql), parameters)
    return relation.limit(max_rows).to_arrow_table().rename_columns(relation.columns)  # `limit` tells twins apart


def _without_end(sql: str) -> str:
    """One statement without the semicolon that ends it and what follows: DuckDB limits no statement that has both."""
    import duckdb

    text = sql.encode()
    end = next((at for at, _ in duckdb.tokenize(sql) if text[at : at + 1] == b";"), len(text))
    return text[:end].decode()


def sql_error(error: Exception) -> CatalogError:
    """What DuckDB said of a statement, in four parts."""
    return CatalogError(
        "SQL", expected="a statement over " + ", ".join(all_tables()), found=str(error), fix="Correct the statement."
    )
