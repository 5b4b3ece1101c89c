"""What is to be done: candidates without results, without those that wait after a failure or were taken down."""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from uniform_core.catalog.candidates import PLACE, Candidates
from uniform_core.catalog.gone import gone_rule
from uniform_core.catalog.ledger import LAST
from uniform_core.catalog.store import Clock, Store
from uniform_core.catalog.tables import KEY, Column, Table, table_named
from uniform_core.errors import CatalogError

if TYPE_CHECKING:
    import pyarrow as pa

# By rule: of which candidates `k` the source was taken down.
_BURIED: Final = {
    "source": "ANTI JOIN tombstones g ON g.dataset = k.dataset AND g.source_id = k.source_id",
    "clip": "ANTI JOIN (SELECT clip_id FROM stored.clips SEMI JOIN tombstones USING (dataset, source_id)) g"
    " ON g.clip_id = k.clip_id",
    None: "",
}


@dataclass(frozen=True)
class Progress:
    """How many candidates there are, have a result, and are to be done now; the others wait after a failure."""

    candidates: int
    done: int
    outstanding: int

    @property
    def waiting(self) -> int:
        return self.candidates - self.done - self.outstanding


def outstanding(store: Store, table: str, candidates: pa.Table | Candidates, *, stage: str, clock: Clock) -> pa.Table:
    """The candidates that are still to be done, in their order, each work_key once.

    Left out are those with a row in `table`, those whose last event in the ledger is a terminal failure or one whose
    retry_at is yet to come, and those of sources that were taken down (where candidates have the columns
    dataset and source_id, or clip_id). Raises CatalogError where candidates have no work_key.
    """
    work = candidates if isinstance(candidates, Candidates) else given(table, candidates)
    rest, tables = _still_open(store, table, work, stage=stage, clock=clock)
    columns = PLACE if work is not candidates else ", ".join(work.column_names)
    sql = f"""
        SELECT {columns} FROM ({rest})
        QUALIFY row_number() OVER (PARTITION BY {KEY} ORDER BY {PLACE}) = 1 ORDER BY {PLACE}
    """
    found = store.query(sql, tables=tables)
    return found if isinstance(candidates, Candidates) else candidates.take(found[PLACE])


def progress(store: Store, table: str, candidates: pa.Table | Candidates, *, stage: str, clock: Clock) -> Progress:
    """How far a stage is: what `outstanding` would return is counted, each piece once, and nothing of it is made."""
    work = candidates if isinstance(candidates, Candidates) else given(table, candidates)
    rest, tables = _still_open(store, table, work, stage=stage, clock=clock)
    results = _results(work, table_named(table).name)
    done = (
        work.select(of=f"(FROM ({work.rows}) SEMI JOIN {results})")
        if work.known_by
        else f"FROM ({work.select(of=f'({work.rows})')}) SEMI JOIN {results}"
    )
    counted = {"candidates": work.select(of=f"({work.rows})"), "done": done, "outstanding": rest}
    same = ", ".join(work.identity)
    counts = (f"(SELECT count(*) FROM (SELECT DISTINCT {same} FROM ({of}))) AS {name}" for name, of in counted.items())
    return Progress(**store.rows(f"SELECT {', '.join(counts)}", tables=tables)[0])


def outstanding_of(
    store: Store, table: str, candidates: pa.Table | Candidates, *, stage: str, clock: Clock
) -> tuple[pa.Table, Progress]:
    """`outstanding`, and how far the stage is: nothing is made of what is done but its number.

    Candidates of sources that were taken down are not counted.
    """
    todo = outstanding(store, table, candidates, stage=stage, clock=clock)
    work = candidates if isinstance(candidates, Candidates) else given(table, candidates)
    buried = _BURIED[_takedown(work.column_names)]
    same = ", ".join(work.identity)
    # By the values that a piece is known by, each compared with its own: pieces have them under other names by now.
    values = list(work.known_by or [KEY])
    known = ", ".join(f"{value} AS {name}" for value, name in zip(values, work.identity, strict=True))
    results = f"SELECT {known}, true AS is_done FROM {table_named(table).name} WHERE {_among(work.stage_fps)}"
    pieces = f"SELECT DISTINCT {same} FROM ({work.select(of=f'({work.rows})')}) k {buried}"
    counts = "count(*) AS candidates, count(is_done) AS done"  # a piece has one result at most: its key is decided
    found = store.rows(f"SELECT {counts} FROM ({pieces}) LEFT JOIN ({results}) USING ({same})", tables=work.tables)[0]
    return todo, Progress(**found, outstanding=todo.num_rows)


def given(table: str, candidates: pa.Table) -> Candidates:
    """The same of a table that has the keys: each row's place is its number."""
    import numpy as np
    import pyarrow as pa

    if KEY not in candidates.column_names:
        raise CatalogError(
            f"candidates for {table}",
            expected=f"a column {KEY}",
            found=", ".join(candidates.column_names),
            fix="Add it.",
        )
    names = [KEY, *_takedown_columns(candidates.column_names)]
    numbered = candidates.select(names).append_column(PLACE, pa.array(np.arange(candidates.num_rows)))
    return Candidates(
        rows="SELECT * FROM candidates",
        key=KEY,
        columns={name: name for name in names[1:]},
        known_by=[KEY],
        tables={"candidates": numbered},
    )


def _still_open(
    store: Store, table: str, work: Candidates, *, stage: str, clock: Clock
) -> tuple[str, Mapping[str, pa.Table]]:
    """SQL of the candidates that are to be done, and the Arrow tables that it reads."""
    results = _results(work, f"stored.{table_named(table).name}")
    keyed = (
        work.select(of=f"(FROM ({work.rows}) SEMI JOIN {_unknown(work, results)})")
        if work.known_by
        else f"FROM ({work.select(of=f'({work.rows})')}) ANTI JOIN {results}"
    )
    closed = store.query(
        f"""
        SELECT item_key FROM ({LAST})
        WHERE stage = $stage AND event = 'failed' AND (is_terminal OR retry_at > $now) AND {_among(work.failed_as)}
        """,
        parameters={"stage": stage, "now": clock()},
    )
    # Without this join no key is needed where nothing but a count is asked for.
    waiting = f"ANTI JOIN closed c ON c.item_key = k.{KEY}" if closed.num_rows else ""
    buried = _BURIED[_takedown(work.column_names)]
    return f"FROM ({keyed}) k {waiting} {buried}", {**work.tables, "closed": closed}


def _results(work: Candidates, table: str) -> str:
    """SQL after JOIN: the results in a table, and when one is that of a piece."""
    values = list(work.known_by or [KEY])
    selected = ", ".join(f"{value} AS known_{n}" for n, value in enumerate(values))
    same = " AND ".join(f"{value} = known_{n}" for n, value in enumerate(values))
    return f"(SELECT {selected} FROM {table} WHERE {_among(work.stage_fps)}) ON {same}"


def _unknown(work: Candidates, results: str) -> str:
    """SQL after JOIN: of which pieces there is no result. These values alone are held in memory, not whole pieces."""
    selected = ", ".join(f"{value} AS unknown_{n}" for n, value in enumerate(work.known_by))
    same = " AND ".join(f"{value} = unknown_{n}" for n, value in enumerate(work.known_by))
    return f"(SELECT {selected} FROM ({work.rows}) ANTI JOIN {results}) ON {same}"


def _among(fingerprints: Sequence[str]) -> str:
    """The condition that keeps to these fingerprints, where they are known."""
    listed = ", ".join(f"'{fp}'" for fp in fingerprints)
    return f"stage_fp IN ({listed})" if fingerprints else "true"


def _takedown(columns: Sequence[str]) -> str | None:
    """Which rule of takedowns candidates with these columns can follow."""
    rule = gone_rule(Table("candidates", "", tuple(Column(name, "", True, "") for name in columns), (), ()))
    return rule if rule in ("source", "clip") else None


def _takedown_columns(columns: Sequence[str]) -> Sequence[str]:
    return {"source": ("dataset", "source_id"), "clip": ("clip_id",), None: ()}[_takedown(columns)]
