"""Vacuum: Delta's data files that no version needs which may still be read.

A version may be read while it was the newest within the retention, is pinned, or a model or a score stands on it.
Files of a commit that is still being written are known to nobody yet: on this machine the commit lock waits for them,
and for writers on other machines a file is left alone until it is older than the grace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from uniform_core.catalog.delta import ABSENT
from uniform_core.catalog.pins import pins, recorded_versions
from uniform_core.catalog.store import Clock, Store
from uniform_core.catalog.tables import all_tables, table_named
from uniform_core.errors import ConfigError
from uniform_core.files import lock, older_than, remove

RETENTION: Final = timedelta(days=7)
GRACE: Final = timedelta(hours=1)


def vacuum(
    store: Store,
    tables: Iterable[str] | None,
    *,
    retention: timedelta,
    pinned: Iterable[Mapping[str, int]],
    grace: timedelta,
    clock: Clock,
) -> list[str]:
    """The files that are gone, as table/file. Safe beside writers of this machine, and others faster than `grace`.

    Raises ConfigError for a negative duration, CatalogError for a pin that cannot be read (nothing is removed then),
    StorageError where a file cannot be removed.
    """
    if retention < timedelta(0) or grace < timedelta(0):
        raise ConfigError(
            "vacuum", expected="durations of at least 0", found=f"{retention}, {grace}", fix="Correct them."
        )
    given = list(pinned)
    for read in (pins, recorded_versions):
        read(store)  # what cannot be read is said before anything is removed
    names = list(all_tables()) if tables is None else [table_named(name).name for name in tables]
    removed: list[str] = []
    for name in names:
        with lock(store.delta.commit_lock, shared=False):
            kept = [*pins(store).values(), *given]  # read under the lock, which a new pin is made under, too
            versions = {versions[name] for versions in kept if versions.get(name, ABSENT) != ABSENT}
            newest = store.delta.snapshot_version(name)
            versions |= {v for said in recorded_versions(store) if ABSENT < (v := said.get(name, ABSENT)) <= newest}
            gone = _vacuum_table(store, name, versions, since=clock() - retention, before=clock() - grace)
        removed += [f"{name}/{file}" for file in gone]
    return removed


def _vacuum_table(store: Store, table: str, pinned: set[int], *, since: datetime, before: datetime) -> list[str]:
    folder = store.delta.path(table)
    # The folder is listed before the log is read: a file that is committed in between is then seen as needed.
    old = older_than(_data_files(folder), before)
    opened = store.delta.open(table)
    if not old or opened is None:
        return []
    commits = sorted((int(step["version"]), int(step["timestamp"])) for step in opened.history())
    past = list(takewhile(lambda commit: commit[1] < since.timestamp() * 1000, commits))
    first = (past or commits)[-1 if past else 0][0]  # the version that was the newest when the retention began
    needed = _files_at(store, table, first)
    for version in pinned:
        needed |= _files_at(store, table, version)
    for version, _ in commits:
        if version > first:
            needed |= _added_by(folder, version)
    gone = [path for path in old if path.name not in needed]
    for path in gone:
        remove(path)
    return [path.name for path in gone]


def _data_files(folder: Path) -> list[Path]:
    """Data files, and what interrupted writes left of files (`…#1`), whose names never get into a log."""
    if not folder.is_dir():
        return []
    litter = [*folder.glob("*#*"), *(folder / "_delta_log").glob("*#*")]
    return sorted(path for path in [*folder.glob("*.parquet"), *litter] if path.is_file())


def _files_at(store: Store, table: str, version: int) -> set[str]:
    return {Path(file).name for file in store.delta.snapshot(table, version).files}


def _added_by(folder: Path, version: int) -> set[str]:
    """The names of the data files that one commit added."""
    lines = (folder / "_delta_log" / f"{version:020d}.json").read_text(encoding="utf-8").splitlines()
    actions = [json.loads(line) for line in lines if line.strip()]
    return {unquote(Path(action["add"]["path"]).name) for action in actions if "add" in action}
