"""Versions of tables that vacuum spares: pins, one small JSON file each, and those that models and scores stand on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from uniform_core.catalog.store import Store
from uniform_core.catalog.tables import KEY, all_tables, table_named
from uniform_core.errors import CatalogError, ConfigError
from uniform_core.files import lock, remove, write_text


def pin(store: Store, name: str, versions: Mapping[str, int]) -> None:
    """These versions stay readable until `unpin(name)`. A pin of the same name is replaced.

    Raises ConfigError for a name that is no file name, CatalogError for a version that cannot be read now.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}", name):
        raise ConfigError(
            f"pin {name!r}", expected="letters, digits, dot, dash, underscore", found=name, fix="Choose another name."
        )
    with lock(store.delta.commit_lock, shared=True):  # so that vacuum cannot pass between the look and the pin
        for table, version in versions.items():
            _see_files(store, table_named(table).name, version)
        write_text(store.root / "pins" / f"{name}.json", json.dumps(dict(sorted(versions.items()))))


def _see_files(store: Store, table: str, version: int) -> None:
    missing = [file for file in store.delta.snapshot(table, version).files if not Path(file).is_file()]
    if missing:
        raise CatalogError(
            f"{table} at version {version}",
            expected="every file of the version",
            found=f"{len(missing)} that are gone, first {missing[0]}",
            fix="A version that was vacuumed cannot be pinned: pin a newer one.",
        )


def unpin(store: Store, name: str) -> bool:
    """Whether there was a pin of this name, which is gone now."""
    path = store.root / "pins" / f"{name}.json"
    was_there = path.exists()
    remove(path)
    return was_there


def pins(store: Store) -> dict[str, dict[str, int]]:
    """Every pin by name. Raises CatalogError for a pin that cannot be read, since vacuum must not pass over it."""
    found = {}
    for path in sorted((store.root / "pins").glob("[!.]*.json")):
        try:
            found[path.stem] = {str(t): int(v) for t, v in json.loads(path.read_text(encoding="utf-8")).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise CatalogError(
                str(path), expected="versions by table as JSON", found=repr(error), fix="Correct or remove the file."
            ) from error
    return found


def recorded_versions(store: Store) -> list[dict[str, int]]:
    """What every row with a column `versions` says that it was made from. Raises CatalogError as `pins` does."""
    found = []
    for table in (t.name for t in all_tables().values() if "versions" in t.names):
        sql = f"SELECT min({KEY}) AS {KEY}, versions FROM stored.{table} GROUP BY versions"  # noqa: S608  (our names)
        for row in store.rows(sql):
            try:
                found.append({str(t): int(v) for t, v in json.loads(row["versions"]).items()})
            except (ValueError, AttributeError, TypeError) as error:
                raise CatalogError(
                    f"table {table}, row {row[KEY]}",
                    expected="versions by table as JSON",
                    found=repr(error),
                    fix="Restore the row; nothing is removed before.",
                ) from error
    return found
