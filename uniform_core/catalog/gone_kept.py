"""Ids that are gone, as they were found the last time: with the data files they stand on, in memory and on disk.

What is gone follows from files that never change. So what was found of the same files holds; where another was written
or removed since, it is found anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uniform_core.errors import StorageError
from uniform_core.files import write_text
from uniform_core.fingerprint import digest

KEPT_IDS: Final = 100_000
"""More ids than these, of one kind, are not kept but derived each time."""
_FORMAT: Final = 1


@dataclass(frozen=True)
class Kept:
    """The ids of one kind that are gone, and the data files (names, by table) that say so."""

    files: Mapping[str, frozenset[str]]
    ids: tuple[str, ...]

    def holds_for(self, files: Mapping[str, frozenset[str]]) -> bool:
        """Whether nothing was written or removed since."""
        return self.files == files

    def fresh(self, files: Mapping[str, frozenset[str]], table: str) -> frozenset[str] | None:
        """The files that one table has got since; None where anything else differs, or a file has gone."""
        others = {name: listed for name, listed in files.items() if name != table}
        same = others == {name: listed for name, listed in self.files.items() if name != table}
        known = self.files.get(table, frozenset())
        return files[table] - known if same and known <= files[table] else None


class GoneKeeper:
    """What a catalog's sessions found to be gone, by kind; processes find it in `.gone_….json` beside the tables."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[str, Kept] = {}

    def look(self, kind: str) -> Kept | None:
        """What was kept of a kind; None where nothing was, or what lies there is not whole."""
        if kind not in self._found and (read := _read(self._path(kind))) is not None:
            self._found[kind] = read
        return self._found.get(kind)

    def keep(self, kind: str, kept: Kept) -> None:
        """The next session need not look again, unless there are too many ids."""
        if len(kept.ids) > KEPT_IDS:
            return
        self._found[kind] = kept
        with suppress(StorageError):  # a catalog that cannot be written is read all the same, and derived each time
            write_text(self._path(kind), json.dumps(_with_digest(kept)))

    def _path(self, kind: str) -> Path:
        return self._root / f".{kind}.json"


def _with_digest(kept: Kept) -> dict[str, Any]:
    files = {table: sorted(names) for table, names in sorted(kept.files.items())}
    said = {"format": _FORMAT, "files": files, "ids": list(kept.ids)}
    return {**said, "digest": digest(["gone", said])}


def _read(path: Path) -> Kept | None:
    """What a file holds; None where there is none, or one that is damaged or of another format."""
    try:
        said = json.loads(path.read_text("utf-8"))
        kept = Kept({table: frozenset(names) for table, names in said["files"].items()}, tuple(said["ids"]))
        return kept if said == _with_digest(kept) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
