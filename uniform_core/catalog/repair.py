"""Rows whose bytes are damaged or gone are taken out, so that the stages that made them find them outstanding again.

Nothing else is lost by it: what stands on such a row names the content that it had, and finds it again when it is made.
"""

# ruff: noqa: S608  (names come from catalogs/ddl; keys are hex digits that the tables checked)
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from uniform_core.catalog.store import Store
from uniform_core.catalog.tables import KEY, all_tables
from uniform_core.catalog.verify import Finding
from uniform_core.files import is_inside, remove

REPAIRABLE: Final = frozenset({"tensor", "media", "model"})


def repair(store: Store, findings: Iterable[Finding]) -> dict[str, int]:
    """How many rows were taken out, by table. Findings of other checks are left for a person.

    A kill in between leaves a part of them, which the next call takes out. Raises what `DeltaTables.delete` raises.
    """
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for finding in findings:
        if finding.check in REPAIRABLE:
            keys[finding.table] |= _same_file(store, finding) if finding.check == "media" else {finding.work_key}
            if finding.table == "downloads":
                _drop_file(store, finding)
    if keys["clips"]:
        keys["sources"] |= _sources_of(store, keys["clips"])
    # Sources first: while a clip's source counts as ingested, nobody would make the clip again.
    ordered = sorted((name for name in keys if keys[name]), key=lambda name: (name != "sources", name))
    return {name: _taken_out(store, name, keys) for name in ordered}


def _drop_file(store: Store, finding: Finding) -> None:
    """The file of a fetched clip is gone: one that lies at its place without a row is taken for what a kill left."""
    for row in store.rows("SELECT path FROM downloads WHERE work_key = ?", parameters=[finding.work_key]):
        path = store.media_dir / row["path"]
        if is_inside(path.parent, store.media_dir):
            remove(path)


def _taken_out(store: Store, name: str, keys: Mapping[str, set[str]]) -> int:
    return store.delta.delete(all_tables()[name], sorted(keys[name]))


def _same_file(store: Store, finding: Finding) -> set[str]:
    """Every row that names the file of this one (a file is looked at once)."""
    sql = f"SELECT {KEY} FROM {finding.table} WHERE path IN (SELECT path FROM {finding.table} WHERE {KEY} = ?)"
    return {row[KEY] for row in store.rows(sql, parameters=[finding.work_key])}


def _sources_of(store: Store, clips: set[str]) -> set[str]:
    """The rows of `sources` that say that these clips are made."""
    listed = ", ".join(f"'{key}'" for key in sorted(clips))
    sql = f"""
        SELECT DISTINCT s.{KEY} FROM sources s, clips c
        WHERE c.{KEY} IN ({listed}) AND list_contains(s.clip_ids, c.clip_id)
    """
    return {row[KEY] for row in store.rows(sql)}
