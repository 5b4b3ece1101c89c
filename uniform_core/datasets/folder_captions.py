"""Which caption belongs to which file of a folder. Names are compared in composed form, suffixes whatever their case:
what a person sees as the same name is the same name. What cannot be used is told, never passed over.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from uniform_core.datasets.captions_beside import CSV_NAME, read_caption_text, read_captions_csv
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fetching.entries import why_not

_TEXT_SUFFIXES = (".txt", ".TXT", ".Txt")


class CaptionTables:
    """The captions.csv of each folder that has one.

    Raises ConfigError for a table that is wrong, that names none of the files, or that is there twice.
    """

    def __init__(self, entries: Sequence[Path], root: Path) -> None:
        self._root = root
        self._tables: dict[Path, Mapping[str, str]] = {}
        self.unused: dict[Path, str] = {}  # tables of which something is not used, and what, in words
        known = {_composed(str(path)) for path in entries}
        for path in entries:
            if path.name.lower() != CSV_NAME or not is_table(path, root):
                continue
            if path.parent in self._tables:
                raise _table_error(path, expected=f"one {CSV_NAME}", found="a second one that differs in case")
            table = read_captions_csv(path)
            lost = [name for name in table if not _names_one_of(known, path.parent, name)]
            if table and len(lost) == len(table):
                found = f"{len(table)} rows, and no such file for any of them; the first is {lost[0]!r}"
                raise _table_error(path, expected=f"file names relative to {path.parent}", found=found)
            if lost:
                self.unused[path] = f"{len(lost)} of {len(table)} rows name no file; the first is {lost[0]!r}"
            self._tables[path.parent] = table

    def caption_of(self, path: Path) -> str | None:
        """The caption in the nearest table that names the file."""
        below = path.relative_to(self._root)
        for folder in below.parents:
            name = _composed(below.relative_to(folder).as_posix())
            if name in self._tables.get(self._root / folder, {}):
                return self._tables[self._root / folder][name]
        return None


def is_table(path: Path, root: Path) -> bool:
    """Whether a captions.csv is a file that may be read; one that may not is an item with its reason."""
    return why_not(path, root) is None


def caption_beside(path: Path, root: Path) -> str | Rejection | None:
    """The caption in the text file of the same stem; why it cannot be used; None where there is none."""
    stems = dict.fromkeys((path.stem, *(unicodedata.normalize(form, path.stem) for form in ("NFC", "NFD"))))
    for beside in (path.with_name(stem + suffix) for stem in stems for suffix in _TEXT_SUFFIXES):
        if not os.path.lexists(beside) or (beside.is_dir() and not beside.is_symlink()):
            continue
        problem = why_not(beside, root)
        if problem is None:
            return read_caption_text(beside)
        return Rejection("bad_caption", f"{beside.name}: {problem.message}", terminal=problem.terminal)
    return None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _names_one_of(known: set[str], folder: Path, name: str) -> bool:
    return not PurePosixPath(name).is_absolute() and _composed(str(folder / name)) in known


def _table_error(path: Path, *, expected: str, found: str) -> ConfigError:
    return ConfigError(
        str(path),
        expected=expected,
        found=found,
        fix="Write each name as it is below the table's folder, with forward slashes, in one table.",
    )
