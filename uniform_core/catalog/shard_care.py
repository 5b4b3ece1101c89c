"""Care of tensor shards and media: orphans are collected, and what was taken down is purged.

Both hold the tensors' lock alone, so no row that names a shard can be committed between the look and the removal.
"""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from uniform_core.catalog.fetch_cache import purge_cache
from uniform_core.catalog.gone import TOMBSTONES, gone_rule
from uniform_core.catalog.store import Clock, Store
from uniform_core.catalog.tables import KEY, all_tables
from uniform_core.errors import CatalogError, ConfigError
from uniform_core.files import TEMP_PREFIX, is_being_written, is_inside, lock, older_than, remove, whole_file
from uniform_core.fingerprint import digest
from uniform_core.settings import FETCHING

if TYPE_CHECKING:
    import pyarrow as pa

ORPHAN_GRACE: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Burial:
    """What a takedown did: sources newly buried, media files removed, tensors emptied, rows of features removed."""

    sources: int
    media_files: int
    tensors: int
    rows: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def collect_orphans(store: Store, *, grace: timedelta, clock: Clock) -> list[str]:
    """The shards and media (and left-over temporary files) that no row names, older than `grace`; they are gone.

    Paths are relative to the root of all data. Safe beside running writers: a shard that a live process of this machine
    still writes stays, and a writer whose rows come later than `grace` after their shard gets an IntegrityError; media
    must have their row within `grace`, or are missing to `verify`. Raises ConfigError for a negative grace,
    StorageError where a file cannot be removed.
    """
    if grace < timedelta(0):
        raise ConfigError("collect_orphans", expected="a grace of at least 0", found=str(grace), fix="Correct it.")
    before = clock() - grace
    gone = [(store.tensors_dir, path) for path in _collect_shards(store, before)]
    gone += [(store.media_dir, path) for path in _collect_media(store, before)]
    return [Path(folder.name, path.relative_to(folder)).as_posix() for folder, path in gone]


def _collect_shards(store: Store, before: datetime) -> list[Path]:
    old = older_than(_shard_files(store.tensors_dir), before)
    if not old:
        return []
    with lock(store.tensors_lock, shared=False):
        named = _named_shards(store)
        orphans = [
            path
            for path in old
            if path.relative_to(store.tensors_dir).as_posix() not in named
            and not (path.name.startswith(TEMP_PREFIX) and is_being_written(path))
        ]
        for path in orphans:
            remove(path)
    return orphans


def _collect_media(store: Store, before: datetime) -> list[Path]:
    """Files as the stages name them (a folder for each dataset, form or model) and temporary ones.

    What somebody put right into `media/generated` is theirs, and what is under way in `media/fetching` the fetcher's.
    """
    entries = [path for path in sorted(store.media_dir.rglob("*")) if _is_ours(path.relative_to(store.media_dir))]
    old = older_than(entries, before)  # listed before the rows: what is committed in between is then seen as named
    if not old:
        return []
    tables = [t for t in all_tables().values() if "path" in t.names and gone_rule(t)]
    named = {row["path"] for t in tables for row in store.rows(f"SELECT DISTINCT path FROM stored.{t.name}")}
    files = [path for path in old if path.is_file() and path.relative_to(store.media_dir).as_posix() not in named]
    orphans = older_than(files, before)  # looked at again: what was made anew meanwhile is young
    for path in orphans:
        remove(path)
    return orphans


def _is_ours(path: Path) -> bool:
    return path.parts[0] != FETCHING and (len(path.parts) > 2 or any(part.startswith(".") for part in path.parts))


def bury(store: Store, dataset: str, source_ids: Iterable[str], *, reason: str, run_id: str, clock: Clock) -> Burial:
    """What is gone: the sources have tombstones, which hide their rows in every version; then `purge` removes bytes.

    Raises ConfigError, before any of them is buried, where the catalog has never heard of one.
    """
    ids = list(source_ids)
    _require_known(store, dataset, ids)
    buried = store.insert(TOMBSTONES, [tombstone(dataset, i, reason=reason, run_id=run_id, clock=clock) for i in ids])
    return replace(purge(store), sources=buried)


def tombstone(dataset: str, source_id: str, *, reason: str, run_id: str, clock: Clock) -> dict[str, Any]:
    """The row of `tombstones` of one source."""
    return {
        KEY: digest(["tombstone", dataset, source_id]),
        "dataset": dataset,
        "source_id": source_id,
        "reason": reason,
        "stage_fp": digest(["tombstone", 1]),
        "run_id": run_id,
        "created_at": clock(),
    }


def _require_known(store: Store, dataset: str, source_ids: list[str]) -> None:
    """A takedown of a misspelt name would seem done, and hide what is to come under that name."""
    tables = [t.name for t in all_tables().values() if gone_rule(t) == "source" or t.name == TOMBSTONES]
    every = " UNION ".join(f"SELECT source_id FROM stored.{name} WHERE dataset = $dataset" for name in tables)
    every += " UNION SELECT item[length($dataset) + 2:] FROM stored.attempts WHERE starts_with(item, $dataset || '/')"
    known = {row["source_id"] for row in store.rows(every, parameters={"dataset": dataset})}
    if unknown := [source_id for source_id in source_ids if source_id not in known]:
        raise ConfigError(
            f"takedown from dataset {dataset}",
            expected="sources that the catalog has",
            found=f"{len(unknown)} that it does not know: " + ", ".join(unknown[:5]) + (", …" if unknown[5:] else ""),
            fix='Nothing was buried. `uniform query "SELECT DISTINCT dataset, source_id FROM sources"` lists them.',
        )


def purge(store: Store) -> Burial:
    """What was removed of everything that has a tombstone. May be run again: it does what a killed run left undone."""
    if store.delta.snapshot_version(TOMBSTONES) < 0:
        return Burial(0, 0, 0, 0)
    with lock(store.tensors_lock, shared=False):
        media = _purge_media(store)
        tensors = _purge_tensors(store)
        rows = _purge_rows(store)
    return Burial(0, media, tensors, rows)


def hidden_rows(store: Store, table: str, columns: str) -> list[dict[str, Any]]:
    """The rows of a table that a tombstone hides."""
    return store.rows(f"SELECT {columns} FROM stored.{table} ANTI JOIN main.{table} USING ({KEY})")


def _purge_media(store: Store) -> int:
    removed = 0
    for table in (t for t in all_tables().values() if "path" in t.names and gone_rule(t)):
        hidden = {row["path"] for row in hidden_rows(store, table.name, "path")}
        live = {row["path"] for row in store.rows(f"SELECT path FROM {table.name}")} if hidden else set()
        for relative in sorted(hidden - live):
            if Path(relative).is_absolute():  # a file that stays with its owner is its owner's
                continue
            path = store.media_dir / relative
            place = path.parent if path.is_symlink() else path  # a link goes; what it leads to is its owner's
            if not is_inside(place, store.media_dir):
                raise CatalogError(
                    f"table {table.name}",
                    expected="a path inside media/",
                    found=relative,
                    fix="Remove that row's source by hand.",
                )
            removed += path.exists() or path.is_symlink()
            remove(path)
    gone = {row["source_id"] for row in store.rows(f"SELECT source_id FROM stored.{TOMBSTONES}")}
    return removed + purge_cache(store.media_dir, gone)


def _purge_tensors(store: Store) -> int:
    """How many tensors were emptied: those of hidden rows, and copies by a writer that lost the race for a key."""
    keys: set[str] = set()
    refs: set[tuple[str, int, int]] = set()
    at = "shard, row_group, row_in_group"
    for table in (t for t in all_tables().values() if t.has_tensors):
        hidden = hidden_rows(store, table.name, f"{KEY}, {at}")
        keys |= {row[KEY] for row in hidden}
        refs |= {(row["shard"], row["row_group"], row["row_in_group"]) for row in hidden}
    if not keys:
        return 0
    for table in (t for t in all_tables().values() if t.has_tensors):
        refs -= {tuple(row.values()) for row in store.rows(f"SELECT {at} FROM {table.name}")}
    shards = [p for p in _shard_files(store.tensors_dir) if not p.name.startswith(TEMP_PREFIX)]
    return sum(_redact(path, path.relative_to(store.tensors_dir).as_posix(), keys, refs) for path in shards)


def _redact(path: Path, shard: str, keys: set[str], refs: set[tuple[str, int, int]]) -> int:
    """How many tensors of a shard were emptied. The others keep their places, so that their rows stay right."""
    import pyarrow.parquet as pq

    from uniform_core.catalog.shards import parquet_writer

    with pq.ParquetFile(path) as file:
        emptied = {
            (group, row)
            for group in range(file.num_row_groups)
            for row, key in enumerate(file.read_row_group(group, columns=["key"])["key"].to_pylist())
            if key in keys or (shard, group, row) in refs
        }
        full = {at for at in emptied if file.read_row_group(at[0], columns=["data"])["data"][at[1]].as_py()}
        if not full:
            return 0
        with whole_file(path) as temp, parquet_writer(str(temp)) as writer:
            for group in range(file.num_row_groups):
                writer.write_table(_emptied(file.read_row_group(group), {row for at, row in full if at == group}))
    return len(full)


def _emptied(group: pa.Table, rows: set[int]) -> pa.Table:
    import pyarrow as pa

    from uniform_core.catalog.shards import SHARD_SCHEMA

    data = [b"" if row in rows else value for row, value in enumerate(group["data"].to_pylist())]
    index = group.schema.get_field_index("data")
    return group.set_column(index, "data", pa.array(data, pa.binary())).cast(SHARD_SCHEMA)


def _purge_rows(store: Store) -> int:
    """How many rows that are known by content alone are gone: the same content may come again from a live source."""
    removed = 0
    for table in (t for t in all_tables().values() if gone_rule(t) == "file"):
        removed += store.delta.delete(table, [row[KEY] for row in hidden_rows(store, table.name, KEY)])
    return removed


def _named_shards(store: Store) -> set[str]:
    """The shards that any row of the newest versions names; rows are never lost, so older versions name no others."""
    tables = [t for t in all_tables().values() if t.has_tensors]
    return {row["shard"] for t in tables for row in store.rows(f"SELECT DISTINCT shard FROM stored.{t.name}")}


def _shard_files(tensors_dir: Path) -> list[Path]:
    return sorted(path for path in tensors_dir.rglob("*.parquet") if path.is_file())
