"""The tables, as `catalogs/ddl` defines them: names, columns, checks and output columns come from the SQL text alone.

The header line `-- output: a, b` of a definition names the columns that enter `content_digest`; tables without one
(the ledger, the tombstones) have no content in that sense. The line `-- cluster: a` names the column by which
compaction puts rows in order, so that who reads a range skips the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from uniform_core.catalog.memory import memory_connection
from uniform_core.errors import CatalogError, ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "work_key"


@dataclass(frozen=True)
class Column:
    name: str
    type: str  # DuckDB's name of the type
    nullable: bool
    meaning: str  # the comment beside it


@dataclass(frozen=True)
class Table:
    """One table's definition. `checks` are SQL expressions that every row must not make false."""

    name: str
    ddl: str
    columns: tuple[Column, ...]
    checks: tuple[str, ...]
    output: tuple[str, ...]
    cluster: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def has_tensors(self) -> bool:
        return "tensor_sha256" in self.names

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a batch of this table, with the NOT NULL columns marked."""
        return _arrow_schema(self)


@lru_cache(maxsize=1)
def all_tables() -> dict[str, Table]:
    """Every table by name, in the order of their names, from the SQL text executed in an in-memory DuckDB."""
    texts = {f.name.removesuffix(".sql"): f.read_text("utf-8") for f in sorted_sql("ddl")}
    with memory_connection() as con:
        con.execute("\n".join(texts.values()))
        columns = con.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns()"
            " WHERE database_name = current_database() ORDER BY column_index"
        ).fetchall()
        checks = con.execute(
            "SELECT table_name, expression FROM duckdb_constraints()"
            " WHERE constraint_type = 'CHECK' AND database_name = current_database() ORDER BY constraint_index"
        ).fetchall()
    return {
        name: Table(
            name=name,
            ddl=text,
            columns=tuple(
                Column(c, kind, nullable, _meaning(text, c)) for t, c, kind, nullable in columns if t == name
            ),
            checks=tuple(expression for t, expression in checks if t == name),
            output=_listed_after("output", text),
            cluster=_listed_after("cluster", text),
        )
        for name, text in texts.items()
    }


def table_named(name: str) -> Table:
    """The table's definition. Raises ConfigError that lists the known names."""
    tables = all_tables()
    if name not in tables:
        raise ConfigError(
            f"table {name!r}", expected="one of " + ", ".join(tables), found="an unknown table", fix="Correct its name."
        )
    return tables[name]


def sorted_sql(folder: str) -> list[Traversable]:
    """The SQL texts of a folder of `catalogs`, in the order of their names."""
    return sorted(
        (f for f in files("catalogs").joinpath(folder).iterdir() if f.name.endswith(".sql")), key=lambda f: f.name
    )


def _meaning(ddl: str, column: str) -> str:
    found = re.search(rf"^\s*{column}\s.*?--\s*(.+)$", ddl, flags=re.MULTILINE)
    return found[1].strip() if found else ""


def _listed_after(word: str, ddl: str) -> tuple[str, ...]:
    found = re.search(rf"^-- {word}: (.+)$", ddl, flags=re.MULTILINE)
    return tuple(word.strip() for word in found[1].split(",")) if found else ()


@cache
def _arrow_schema(table: Table) -> pa.Schema:
    import pyarrow as pa

    fields = [pa.field(c.name, arrow_type(c.type), nullable=c.nullable) for c in table.columns]
    return pa.schema(fields)


def arrow_type(duckdb_type: str) -> pa.DataType:
    """The Arrow type of a DuckDB type that the tables may use. Raises CatalogError for any other."""
    import pyarrow as pa

    if duckdb_type.endswith("[]"):
        return pa.list_(pa.field("element", arrow_type(duckdb_type[:-2])))
    known = {
        "VARCHAR": pa.string(),
        "INTEGER": pa.int32(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
    }
    if duckdb_type not in known:
        raise CatalogError(
            f"type {duckdb_type} in catalogs/ddl",
            expected="one of " + ", ".join(known) + ", or a list of one",
            found=duckdb_type,
            fix="Use a type that Delta Lake, Arrow and DuckDB share.",
        )
    return known[duckdb_type]
