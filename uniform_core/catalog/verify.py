"""Whether the catalog is what it says: keys unique, shards and media there and whole, every named check empty."""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uniform_core.catalog.delta import ABSENT
from uniform_core.catalog.shard_care import hidden_rows
from uniform_core.catalog.store import Store
from uniform_core.catalog.tables import KEY, all_tables, sorted_sql
from uniform_core.errors import CatalogError, IntegrityError
from uniform_core.files import is_inside
from uniform_core.fingerprint import file_sha256

GUIDE = "guide.safetensors"  # an early average beside the weights of a model
_REF = f"{KEY}, shard, row_group, row_in_group, shape, dtype, tensor_sha256"
_MEDIA = {  # tables of files under media/, with their hash; a source's path is absolute where it stays with its owner
    "clips": "clip_sha256",
    "downloads": "source_sha256",
    "generations": "file_sha256",
    "sources": "source_sha256",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `check`: unreadable, duplicate, tensor, media, model, not_purged, or a query's name."""

    check: str
    table: str
    work_key: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def verify(store: Store, *, deep: bool = True) -> Iterator[Finding]:
    """Everything that is wrong, as it is found; nothing where all is well.

    `deep` reads every byte of tensors, media and weights against its sha256; without it tensors are still read, media
    are only measured, and weights only looked for. Files that stay with their owner are not looked at.
    """
    readable = set()
    for name in all_tables():
        unreadable = list(_unreadable(store, name))
        yield from unreadable
        readable |= set() if unreadable else {name}
    for table in all_tables().values():
        if table.name not in readable or store.delta.snapshot_version(table.name) == ABSENT:
            continue
        yield from _duplicates(store, table.name)
        if table.has_tensors:
            yield from _tensors(store, table.name, deep)
        if table.name in _MEDIA:
            yield from _media(store, table.name, deep)
    if "models" in readable:
        yield from _models(store, deep)
    if readable == set(all_tables()):
        yield from _checks(store)
        yield from _not_purged(store)


def _unreadable(store: Store, table: str) -> Iterator[Finding]:
    try:
        store.rows(f"SELECT count(COLUMNS(*)) FROM stored.{table}")
    except CatalogError as error:
        yield Finding("unreadable", table, "", str(error))


def _duplicates(store: Store, table: str) -> Iterator[Finding]:
    sql = f"SELECT {KEY}, count(*) AS n FROM stored.{table} GROUP BY {KEY} HAVING n > 1 ORDER BY 1"
    for row in store.rows(sql):
        yield Finding("duplicate", table, row[KEY], f"{row['n']} rows with this key")


def _tensors(store: Store, table: str, deep: bool) -> Iterator[Finding]:
    from uniform_core.catalog.shards import ShardReader, ref_of

    sql = f"SELECT {_REF} FROM {table} ORDER BY shard, row_group, row_in_group"
    with ShardReader(store.tensors_dir, open_files=1, cached_groups=1) as reader:
        for batch in store.stream(sql):
            for row in batch.to_pylist():
                try:
                    reader.read(ref_of(row), verify=deep)
                except IntegrityError as error:
                    yield Finding("tensor", table, row[KEY], str(error))


def _media(store: Store, table: str, deep: bool) -> Iterator[Finding]:
    sql = f"""
        SELECT min({KEY}) AS {KEY}, path, bytes, {_MEDIA[table]} AS sha256 FROM {table}
        {"WHERE NOT starts_with(path, '/')" if table == "sources" else ""} GROUP BY ALL ORDER BY path
    """
    for row in store.rows(sql):
        is_link = table == "downloads" and (store.media_dir / row["path"]).is_symlink()
        found = _link_fault(store.media_dir, row) if is_link else _file_fault(store.media_dir, row, deep)
        if found:
            yield Finding("media", table, row[KEY], f"{row['path']}: {found}")


def _models(store: Store, deep: bool) -> Iterator[Finding]:
    for row in store.rows(f"SELECT {KEY}, path, weights_sha256 AS sha256 FROM models ORDER BY path"):
        found = _model_fault(store.checkpoints_dir, row, deep)
        if found:
            yield Finding("model", "models", row[KEY], f"checkpoints/{row['path']}: {found}")


def _model_fault(root: Path, row: dict[str, Any], deep: bool) -> str | None:
    folder = root / row["path"]
    if not is_inside(folder, root):
        return f"outside {root}"
    if not folder.is_dir():
        return "no such folder"
    weights = [path for path in folder.glob("*.safetensors") if path.name != GUIDE]
    if len(weights) != 1:
        return f"{len(weights)} files of weights where one belongs"
    if not deep:
        return None
    return _hash_fault(weights[0], row) or _guide_fault(folder)


def _guide_fault(folder: Path) -> str | None:
    """What is wrong with the guide that a model's marker names; a row names the weights alone."""
    try:
        marker = json.loads((folder / "COMPLETE").read_text())
    except (OSError, ValueError):
        return None  # a feature net has none; of a model, loading tells
    if GUIDE not in marker:
        return None
    return _hash_fault(folder / GUIDE, marker[GUIDE]) if (folder / GUIDE).is_file() else f"no {GUIDE}"


def _link_fault(root: Path, row: dict[str, Any]) -> str | None:
    """What is wrong with a link to a file that stays with its owner, which is not looked at."""
    path = root / row["path"]
    if not is_inside(path.parent, root):
        return f"outside {root}"
    return None if path.exists() else "a link to a file that its owner has taken away"


def _file_fault(root: Path, row: dict[str, Any], deep: bool) -> str | None:
    path = root / row["path"]
    if not is_inside(path, root):
        return f"outside {root}"
    if not path.is_file():
        return "no such file"
    if path.stat().st_size != row["bytes"]:
        return f"{path.stat().st_size} bytes where {row['bytes']} belong"
    return _hash_fault(path, row) if deep else None


def _hash_fault(path: Path, row: dict[str, Any]) -> str | None:
    try:
        is_same = file_sha256(path) == row["sha256"]
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if is_same else f"content differs from sha256 {row['sha256']}"


def _checks(store: Store) -> Iterator[Finding]:
    """What the texts of catalogs/checks return: table_name, work_key and message of each offending row."""
    for text in sorted_sql("checks"):
        for row in store.rows(text.read_text("utf-8")):
            yield Finding(text.name.removesuffix(".sql"), row["table_name"], row[KEY], row["message"])


def _not_purged(store: Store) -> Iterator[Finding]:
    """Media of sources that were taken down, and are still on disk (a takedown that was killed, a late writer)."""
    for table in _MEDIA:
        for row in hidden_rows(store, table, f"{KEY}, path"):
            path = store.media_dir / row["path"]
            if is_inside(path, store.media_dir) and path.exists():
                yield Finding(
                    "not_purged", table, row[KEY], f"{row['path']} is still there: run `uniform catalog vacuum`"
                )
