"""Pins: versions of tables, by name, that vacuum spares. One small JSON file each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from uniform_core.catalog.files import write_text
from uniform_core.catalog.store import Store
from uniform_core.catalog.tables import table_named
from uniform_core.errors import CatalogError, ConfigError


def pin(store: Store, name: str, versions: Mapping[str, int]) -> None:
    """These versions stay readable until `unpin(name)`. A pin of the same name is replaced.

    Raises ConfigError for a name that is no file name, CatalogError for a version that cannot be read now.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}", name):
        raise ConfigError(
            f"pin {name!r}", expected="letters, digits, dot, dash, underscore", found=name, fix="Choose another name."
        )
    for table, version in versions.items():
        store.delta.snapshot(table_named(table).name, version)
    write_text(store.root / "pins" / f"{name}.json", json.dumps(dict(sorted(versions.items()))))


def unpin(store: Store, name: str) -> bool:
    """Whether there was a pin of this name, which is gone now."""
    path = store.root / "pins" / f"{name}.json"
    if not path.exists():
        return False
    path.unlink()
    return True


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
