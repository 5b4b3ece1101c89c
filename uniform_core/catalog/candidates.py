"""Work that could be done, as SQL over the tables: what is done already is never hashed, named or held in memory.

A `work_key` is a sha256, and to hash ten million of them takes seconds. So a piece of work also says by which of its
columns a row is its result, and only what those leave over gets a key.
"""

# ruff: noqa: S608  (names and expressions come from this project's code; values are parameters)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from uniform_core.catalog.memory import memory_connection
from uniform_core.catalog.tables import KEY
from uniform_core.fingerprint import KEY_HEX

if TYPE_CHECKING:
    import pyarrow as pa

PLACE: Final = "place"  # the column of `Candidates.rows` that decides the order


@dataclass(frozen=True)
class Candidates:
    """Pieces of work, each once, in the order of their places.

    `rows` is a SELECT over the catalog's tables and over `tables`: one row for each piece, with a column `place`.
    `key` is SQL of its work_key, and `columns` of the further columns that candidates have, over the columns of `rows`.
    `stage_fps` are all fingerprints that the pieces and their results can have as `stage_fp`; empty where they are
    not known. `failed_as` are those that failures of the pieces can have; where it is empty, all of a stage's failures
    are looked at, and the pieces that are left need their keys even to be counted.
    `known_by` is SQL of values, over the columns of `rows` and of the table of results alike, that decide the key: a
    result of these fingerprints with the same values is the result of this piece. Empty where the key also depends on
    what no result tells.
    """

    rows: str
    key: str
    columns: Mapping[str, str]
    known_by: Sequence[str] = ()
    stage_fps: Sequence[str] = ()
    failed_as: Sequence[str] = ()
    tables: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def column_names(self) -> list[str]:
        """The columns that candidates have as a table."""
        return [KEY, *self.columns]

    @property
    def identity(self) -> list[str]:
        """The columns of `select` that are the same in two rows where these are one piece."""
        return [f"same_{n}" for n in range(len(self.known_by))] or [KEY]

    def select(self, *, of: str) -> str:
        """SQL of the candidates as a table, of those of its rows that `of` names; further columns are its `identity`.

        Columns that nobody reads are not computed: who counts pieces by what they are known by makes no key.
        """
        same = dict(zip(self.identity, self.known_by, strict=False))
        columns = {KEY: self.key, **self.columns, PLACE: PLACE, **same}
        return f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in columns.items())} FROM {of}"

    def table(self) -> pa.Table:
        """Every candidate, in order. For rows that stand on no table of the catalog."""
        with memory_connection() as con:
            for name, table in self.tables.items():
                con.register(name, table)
            made = self.select(of=f"({self.rows})")
            sql = f"SELECT {', '.join(self.column_names)} FROM ({made}) ORDER BY {PLACE}"
            return con.sql(sql).to_arrow_table()


def work_key_sql(item_id: str, *, stage_fp: str, source_sha256: str) -> str:
    """SQL of `fingerprint.work_key`, of three SQL expressions of texts. Texts that JSON has to escape are an error."""
    parts = ", ',', ".join(map(_json_text, (item_id, stage_fp, source_sha256)))
    return f"""left(sha256(concat('["work",', {parts}, ']')), {KEY_HEX})"""


def text_digest_sql(text: str) -> str:
    """SQL of `fingerprint.text_digest`, of an SQL expression of a text."""
    return f"left(sha256({text}), {KEY_HEX})"


def _json_text(text: str) -> str:
    """SQL of a text as JSON. DuckDB's escapes are not all Python's: keys are of digests and of words of ours."""
    quoted = f"to_json({text})::VARCHAR"
    wrong = f"error('a work_key of ' || {quoted} || ': ids and fingerprints have no letter that JSON escapes')"
    return f"CASE WHEN strlen({quoted}) = strlen({text}) + 2 THEN {quoted} ELSE {wrong} END"
