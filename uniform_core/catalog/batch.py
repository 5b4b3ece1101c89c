"""A batch of rows against its table's definition, before it is written."""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from uniform_core.catalog.memory import memory_connection
from uniform_core.catalog.tables import KEY, Column, Table
from uniform_core.catalog.values import takes_type, takes_value
from uniform_core.errors import SchemaError

Rows: TypeAlias = "pa.Table | Sequence[Mapping[str, Any]]"


def checked_batch(table: Table, rows: Rows) -> pa.Table:
    """The rows as an Arrow table of exactly the table's schema, one row for each work_key (the first stays).

    A nullable column that a row leaves out is null. Raises SchemaError that names table, row and column for an
    unknown or missing column, a value of another kind (a time without zone is one), a null in a NOT NULL column or
    in a list, a CHECK that does not hold.
    """
    batch = _typed(table, rows)
    for column in table.columns:
        _see_nulls(table, column, batch[column.name])
    _check(table, batch)
    return _first_of_each_key(batch)


def _see_nulls(table: Table, column: Column, values: pa.ChunkedArray) -> None:
    if not column.nullable and values.null_count:
        row = values.is_null().index(True).as_py()
        raise _schema_error(table, row, f"{column.name} {column.type} NOT NULL", f"{column.name} null")
    if column.type.endswith("[]") and pc.list_flatten(values).null_count:
        row = next(n for n, items in enumerate(values.to_pylist()) if items and None in items)
        raise _schema_error(table, row, f"{column.name} {column.type} without nulls", f"{column.name} with a null")


def _typed(table: Table, rows: Rows) -> pa.Table:
    schema = table.arrow_schema
    given = rows.column_names if isinstance(rows, pa.Table) else [name for row in rows for name in row]
    names = set(given)
    if isinstance(rows, pa.Table) and len(names) < len(given):
        raise _schema_error(table, None, "each column once", ", ".join(given))
    required = {column.name for column in table.columns if not column.nullable}
    if names - set(table.names) or required - names:
        unknown = [f"unknown {name}" for name in sorted(names - set(table.names))]
        missing = [f"no {name}" for name in sorted(required - names)]
        raise _schema_error(table, None, "the columns " + ", ".join(table.names), ", ".join(unknown + missing))
    columns = [_column(table, rows, field) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(table: Table, rows: Rows, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if isinstance(rows, pa.Table):
        if field.name not in rows.column_names:
            return pa.nulls(rows.num_rows, field.type)
        given = rows[field.name]
        if not takes_type(field.type, given.type):
            raise _schema_error(table, None, f"{field.name} {field.type}", f"{field.name} {given.type}")
        try:
            return given.cast(field.type)
        except pa.ArrowException as error:
            raise _schema_error(table, None, f"{field.name} {field.type}", f"{given.type}: {error}") from error
    values = [row.get(field.name) for row in rows]
    for row, value in enumerate(values):
        if not takes_value(field.type, value):
            raise _schema_error(table, row, f"{field.name} {field.type}", f"{field.name} {value!r}")
    try:
        return pa.array(values, field.type)
    except (ValueError, TypeError, OverflowError) as error:  # too large a number, a text that is not Unicode
        row = next(i for i, value in enumerate(values) if not _fits(value, field.type))
        raise _schema_error(table, row, f"{field.name} {field.type}", f"{field.name} {values[row]!r}") from error


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.scalar(value, kind)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _check(table: Table, batch: pa.Table) -> None:
    """Returns where every CHECK holds for every row (a null result passes, as in SQL); else raises SchemaError."""
    if not table.checks or not batch.num_rows:
        return
    flags = ", ".join(f"bool_and(coalesce({check}, true))" for check in table.checks)
    with memory_connection() as con:
        con.register("batch", batch)
        held = con.execute(f"SELECT {flags} FROM batch").fetchall()[0]
        for check, holds in zip(table.checks, held, strict=True):
            if holds:
                continue
            numbered = "SELECT row_number() OVER () - 1 AS n, * FROM batch"
            found = con.execute(
                f"SELECT n, * EXCLUDE (n) FROM ({numbered}) WHERE NOT {check} ORDER BY n LIMIT 1"
            ).fetchall()[0]
            named = dict(zip(table.names, found[1:], strict=True))
            values = ", ".join(f"{name} {named[name]!r}" for name in re.findall(r"\w+", check) if name in named)
            raise _schema_error(table, found[0], f"CHECK {check}", values)


def _first_of_each_key(batch: pa.Table) -> pa.Table:
    first: dict[str, int] = {}
    for row, key in enumerate(batch[KEY].to_pylist()):
        first.setdefault(key, row)
    keep = list(first.values())
    return batch if len(keep) == batch.num_rows else batch.take(pa.array(keep, pa.int64()))


def _schema_error(table: Table, row: int | None, expected: str, found: str) -> SchemaError:
    item = f"table {table.name}" + ("" if row is None else f", row {row} of the batch")
    return SchemaError(item, expected=expected, found=found, fix="Correct the rows; nothing of the batch was written.")
