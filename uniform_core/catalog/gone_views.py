"""The tables of a session's `latest` by which rows are hidden: as they were kept, or derived anew."""

# ruff: noqa: S608  (names come from this package; ids are parameters)
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from uniform_core.catalog.gone import KINDS, TOMBSTONES, gone_kinds
from uniform_core.catalog.gone_kept import Kept
from uniform_core.catalog.views import attach

if TYPE_CHECKING:
    import duckdb

    from uniform_core.catalog.delta import DeltaTables, Snapshot

_CLIPS: Final = "gone_clips"  # each is gone by itself: of what was written since, the rest need not be looked at again


def attach_gone(con: duckdb.DuckDBPyConnection, delta: DeltaTables, rules: Iterable[str]) -> list[str]:
    """The tombstones and all that these rules look up are in `latest`; returns the files that they stand on."""
    kinds = gone_kinds(rules)
    names = dict.fromkeys([TOMBSTONES, *(name for kind in kinds for name in KINDS[kind].read)])
    snapshots = {name: delta.snapshot(name) for name in names}
    attach(con, "latest", snapshots[TOMBSTONES])
    attached = {TOMBSTONES}
    for kind in kinds:
        _attach_kind(con, delta, kind, snapshots, attached)
    return [file for snapshot in snapshots.values() for file in snapshot.files]


def _attach_kind(
    con: duckdb.DuckDBPyConnection,
    delta: DeltaTables,
    kind: str,
    snapshots: Mapping[str, Snapshot],
    attached: set[str],
) -> None:
    files = {name: frozenset(Path(file).name for file in snapshots[name].files) for name in KINDS[kind].read}
    kept = delta.gone.look(kind)
    if kept is not None and kept.holds_for(files):
        _make(con, kind, kept.ids)
        return
    fresh = None if kept is None or kind != _CLIPS else kept.fresh(files, "clips")
    if kept is not None and fresh is not None:
        clips = snapshots["clips"]
        written = tuple(file for file in clips.files if Path(file).name in fresh)
        found = {*kept.ids, *_derived(con, kind, {"clips": replace(clips, files=written)}, set())}
        con.execute(f"DROP VIEW latest.clips; DROP TABLE latest.{kind}")
        _make(con, kind, sorted(found))
    else:
        found = set(_derived(con, kind, {name: snapshots[name] for name in KINDS[kind].read}, attached))
    delta.gone.keep(kind, Kept(files, tuple(sorted(found))))


def _make(con: duckdb.DuckDBPyConnection, kind: str, ids: Iterable[str]) -> None:
    con.execute(f"CREATE TABLE latest.{kind} AS SELECT unnest($1::VARCHAR[]) AS {KINDS[kind].column}", [list(ids)])


def _derived(
    con: duckdb.DuckDBPyConnection, kind: str, snapshots: Mapping[str, Snapshot], attached: set[str]
) -> list[str]:
    """The ids of a kind, which are in `latest` now, from views of these snapshots, which are there now too."""
    for name, snapshot in snapshots.items():
        if name not in attached:
            attach(con, "latest", snapshot)
            attached.add(name)
    con.execute(KINDS[kind].sql)
    return [value for (value,) in con.execute(f"SELECT {KINDS[kind].column} FROM latest.{kind}").fetchall()]
