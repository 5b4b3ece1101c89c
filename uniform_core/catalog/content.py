"""What a set of tables holds, as one digest that no order, batching, compaction or failure changes."""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from uniform_core.catalog.store import Store
from uniform_core.catalog.tables import table_named
from uniform_core.errors import CatalogError

_LIMBS = 8  # of 32 bits: a sha256 is added up in pieces that DuckDB's integers hold
# SQL of the sum of sha256, a column `h` of hex digits, as a list of texts: see `sum_of`.
LIMBS = "[{}]".format(
    ", ".join(f"coalesce(sum(('0x' || substr(h, {8 * i + 1}, 8))::UBIGINT), 0)::VARCHAR" for i in range(_LIMBS))
)


def content_digest(store: Store, tables: Iterable[str], *, versions: Mapping[str, int] | None = None) -> str:
    """64 hex digits of the live (table, work_key, output columns) of these tables, whatever their order.

    It equals `fingerprint.set_digest` of the members "table\\nwork_key\\noutput…", joined by newlines; null is NUL, and
    newlines, NULs and backslashes of a value are escaped, so that different rows are different members.
    Raises CatalogError for a table that has no output: the ledger and the tombstones.
    """
    total = 0
    for name in sorted(set(tables)):
        table = table_named(name)
        if not table.output:
            raise CatalogError(
                f"content digest of {name}",
                expected="a table whose definition names its output",
                found="none",
                fix="Leave it out: it says what happened, not what there is.",
            )
        parts = ", ".join(_member_part(column) for column in ("work_key", *table.output))
        sql = f"SELECT {LIMBS} AS limbs FROM (SELECT sha256(concat_ws(chr(10), '{name}', {parts})) AS h FROM {name})"
        total += sum_of(store.rows(sql, versions=_only(versions, name))[0]["limbs"])
    return as_digest(total)


def sum_of(limbs: Sequence[str]) -> int:
    """The sum of sha256 that `LIMBS` has added up in pieces."""
    return sum(int(limb) << 32 * (_LIMBS - 1 - i) for i, limb in enumerate(limbs))


def as_digest(total: int) -> str:
    """A sum of sha256 as 64 hex digits, as `fingerprint.set_digest` writes it."""
    return f"{total % (1 << 256):064x}"


def _member_part(column: str) -> str:
    """SQL of a column's value as text in which no newline stands and only null is NUL."""
    text = f"{column}::VARCHAR"
    for code, escaped in ((92, r"\\"), (10, r"\n"), (0, r"\0")):
        text = f"replace({text}, chr({code}), '{escaped}')"
    return f"coalesce({text}, chr(0))"


def _only(versions: Mapping[str, int] | None, table: str) -> dict[str, int]:
    return {table: versions[table]} if versions and table in versions else {}
