"""What a person may ask of the page, as its address says it, and which clips that leaves.

A condition is evaluated over rows that were read already, in a DuckDB of its own that knows nothing else: no file, no
other table, no setting. A SELECT goes through the catalog's own door for SQL that a person typed.
"""

# ruff: noqa: S608  (what is not ours is a condition in a locked database, or goes through the catalog's read-only door)
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.catalog.bounds import Bounds, bounded
from uniform_core.catalog.memory import memory_connection
from uniform_core.catalog.session import require_condition, sql_error
from uniform_core.errors import CatalogError, ConfigError
from uniform_core.fingerprint import KEY_HEX

BOUNDS: Final = Bounds(seconds=10.0, memory_bytes=1 << 30)
WHERE_LIMIT: Final = 4_000
TRAIL: Final = 60  # pages that one can go back
ANY_FLAG: Final = "*"
_KEY: Final = re.compile(rf"[0-9a-f]{{{KEY_HEX}}}")
_SELECT: Final = re.compile(r"\s*(select|with|from)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Ask:
    """Two corpora, what is left of their clips, and where the page begins: after the last key of `trail`."""

    a: str
    b: str = ""
    flag: str = ""
    differ: bool = False
    where: str = ""
    trail: tuple[str, ...] = ()

    @classmethod
    def of_words(cls, words: Mapping[str, str], *, a: str, b: str) -> Ask:
        """What an address says; `a` and `b` where it names no corpora. Raises ConfigError for a malformed word."""
        trail = tuple(key for key in words.get("trail", "").split(".") if key)
        if len(trail) > TRAIL or not all(_KEY.fullmatch(key) for key in trail):
            raise ConfigError("the address", expected="keys of clips", found="other words", fix="Begin at the start.")
        where = words.get("where", "").strip()
        if len(where) > WHERE_LIMIT:
            raise ConfigError(
                "the condition", expected=f"at most {WHERE_LIMIT} letters", found=str(len(where)), fix="Shorten it."
            )
        names = {"a": words.get("a") or a, "b": words.get("b", b if "a" not in words else "")}
        return cls(**names, flag=words.get("flag", ""), differ=bool(words.get("differ")), where=where, trail=trail)

    @property
    def after(self) -> str | None:
        """The key that the page begins after."""
        return self.trail[-1] if self.trail else None

    @property
    def is_select(self) -> bool:
        """Whether `where` is a whole SELECT instead of a condition."""
        return bool(_SELECT.match(self.where))

    def address(self, trail: tuple[str, ...] | None = None) -> str:
        """The address that says this, with another trail where one is given."""
        asked = self if trail is None else replace(self, trail=trail)
        words = {
            **{"a": asked.a, "b": asked.b, "flag": asked.flag, "differ": "1" if asked.differ else ""},
            **{"where": asked.where, "trail": ".".join(asked.trail)},
        }
        return "/?" + urlencode({name: word for name, word in words.items() if word or name == "b"})

    @property
    def later(self) -> tuple[str, ...]:
        """The trail as far as another key fits onto it: the first pages are forgotten first."""
        return self.trail[-(TRAIL - 1) :]


def left(rows: pa.Table, ask: Ask) -> pa.Table:
    """Those of the rows that the flag, `differ` and a condition leave, in their order. Raises CatalogError."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if ask.flag == ANY_FLAG:
        conditions.append("(len(coalesce(flags, [])) > 0 OR len(coalesce(other_flags, [])) > 0)")
    elif ask.flag:
        conditions.append("(list_contains(flags, $flag) OR list_contains(other_flags, $flag))")
        parameters["flag"] = ask.flag
    if ask.differ and ask.b:
        conditions.append("text_hash IS DISTINCT FROM other_text_hash")
    ours = f"SELECT * FROM rows{' WHERE ' if conditions else ''}{' AND '.join(conditions)}"
    sql = f"{ours} ORDER BY clip_id"
    if ask.where and not ask.is_select:
        require_condition(ask.where)
        # Of what is left by then: a condition that closes its bracket and opens another one undoes nothing of ours.
        sql = f"SELECT * FROM ({ours}) WHERE (\n{ask.where}\n) ORDER BY clip_id"
    elif not conditions:
        return rows
    import duckdb

    try:
        with memory_connection(own=True) as con:
            con.register("rows", rows)
            con.execute(BOUNDS.memory_sql())
            con.execute("SET enable_external_access = false; SET lock_configuration = true")
            with bounded(con, BOUNDS):
                return con.sql(sql, params=parameters or None).to_arrow_table()
    except duckdb.Error as error:
        raise sql_error(error) from error


def selected_ids(catalog: Catalog, ask: Ask, *, after: str | None, limit: int) -> list[str]:
    """The next ids of clips, in their order, that a SELECT returns. Raises CatalogError."""
    sql = f"""
        SELECT DISTINCT clip_id FROM (
        {ask.where.rstrip().rstrip(";")}
        ) WHERE clip_id > '{after or ""}' ORDER BY clip_id LIMIT {limit:d}
    """
    rows = catalog.query(sql, read_only_sql=True, bounds=BOUNDS)
    ids: list[str] = rows["clip_id"].to_pylist()
    if not all(isinstance(one, str) for one in ids):
        raise CatalogError("SQL", expected="clip_id as a text", found="something else", fix="Select clip_id.")
    return ids
