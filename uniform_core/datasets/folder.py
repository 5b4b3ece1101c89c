"""Any folder of media, recursively: what somebody has on disk.

Every entry is an item, whatever its name says, so that each gets a clip or a true reason, except plainly written
companions (`COMPANIONS`, captions among them) and what is hidden. Links are followed to files inside the folder only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from typing_extensions import override

from uniform_core.catalog.formats import home_above
from uniform_core.datasets.base import DatasetConfig
from uniform_core.datasets.captions_beside import CSV_NAME, read_caption_text, read_captions_csv
from uniform_core.datasets.entries import HOME_WORDS, entries_under, is_file_inside, is_text, portable_path, why_not
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fingerprint import KEY_HEX, digest
from uniform_core.settings import Settings
from uniform_core.spec import AVSpec
from uniform_core.types import Fraction, SourceItem

VERSION = 1
COMPANIONS = frozenset(
    {
        *(".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".txt", ".md", ".log", ".nfo"),
        *(".srt", ".vtt", ".md5", ".sha256"),
    }
)


class FolderConfig(DatasetConfig):
    """A folder. `dataset` names it in the tables; where it is null, the folder's own name does.

    Labels are the names of the top-level folders. A caption is taken from `<stem>.txt` beside the file, else from the
    nearest `captions.csv` above it that names the file.
    """

    kind: Literal["folder"] = "folder"
    path: Path
    dataset: str | None = Field(default=None, min_length=1, max_length=100)
    held_out_fraction: Fraction = 0.2

    @field_validator("path")
    @classmethod
    def _is_text(cls, path: Path) -> Path:
        """A config is kept as JSON, which has no bytes: such a name can be below the folder, not its own."""
        if not is_text(str(path)):
            raise ValueError("should be UTF-8 text without a NUL: rename the folder, or name it by a link")
        return path

    @classmethod
    def example(cls) -> FolderConfig:
        return cls(path=Path("videos"))

    @classmethod
    def from_argument(cls, argument: str) -> FolderConfig:
        """The argument is the folder."""
        if not argument:
            raise ConfigError("--data folder", expected="folder:DIR", found="no folder", fix="Write folder:DIR.")
        return cls(path=Path(argument))

    @property
    def name(self) -> str:
        return self.dataset or f"folder-{_slug(self.root.name)}"

    @property
    def root(self) -> Path:
        """The folder as an absolute path. Raises ConfigError for a path that leads to no place, there or not."""
        try:
            return self.path.expanduser().resolve()
        except RuntimeError as error:  # a link to itself, or the home of somebody who is not known
            raise ConfigError(
                f"folder:{self.path}",
                expected="a path that leads somewhere",
                found=str(error),
                fix="Name the folder that holds the videos.",
            ) from error

    @property
    def max_reject_fraction(self) -> float:
        return 1.0

    def fingerprint_params(self) -> dict[str, Any]:
        """All but the place: the same folder elsewhere is the same data."""
        return {**self.model_dump(mode="json", exclude={"path", "dataset"}), "dataset": self.name, "version": VERSION}

    @override
    def items(self, spec: AVSpec) -> Iterator[SourceItem]:
        """Every entry, sorted by its path. Raises ConfigError where the folder or a captions.csv is not usable."""
        root = self._checked_root()
        entries = sorted(entries_under(root), key=lambda path: path.relative_to(root).as_posix())
        tables = _caption_tables(entries, root)
        for path in entries:
            if path.suffix.lower() not in COMPANIONS:
                yield self._item(path, root, tables)

    @override
    def fetch(self, item: SourceItem, directory: Path) -> Path | Rejection:
        """The item's own file, where it lies; or why it is not to be used."""
        assert item.path is not None  # `_item` gives each one
        problem = why_not(item.path, self.root)
        if problem is not None:
            return problem
        beside = _text_beside(item.path, self.root)
        caption = read_caption_text(beside) if beside else None
        return caption if isinstance(caption, Rejection) else item.path

    def _item(self, path: Path, root: Path, tables: Mapping[Path, Mapping[str, str]]) -> SourceItem:
        source_id = portable_path(path.relative_to(root))
        parts = path.relative_to(root).parts
        return SourceItem(
            dataset=self.name,
            source_id=source_id,
            split=split_of(source_id, held_out_fraction=self.held_out_fraction),
            label=portable_path(Path(parts[0])) if len(parts) > 1 else None,
            caption=_caption_of(path, root, tables),
            path=path,
        )

    def _checked_root(self) -> Path:
        root = self.root
        if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
            raise ConfigError(
                f"folder:{self.path}",
                expected="a folder that can be read",
                found="a file" if root.is_file() else "no permission" if root.exists() else "nothing there",
                fix="Name the folder that holds the videos.",
            )
        home = home_above(root)
        if home is not None and (root == home or any(root.is_relative_to(own) for own in Settings(home=home).own_dirs)):
            raise ConfigError(
                f"folder:{self.path}",
                expected="a folder of videos that were there before",
                found=f"what UniForm itself keeps: {home} is {HOME_WORDS}",
                fix="Name another folder, or set UNIFORM_HOME to a place outside of it.",
            )
        return root


def split_of(source_id: str, *, held_out_fraction: float) -> str:
    """`train` or `held_out`, by the id alone: a file keeps its split when others come and go."""
    share = int(digest(["split", source_id]), 16) / 16**KEY_HEX
    return "held_out" if share < held_out_fraction else "train"


def _caption_tables(entries: list[Path], root: Path) -> Mapping[Path, Mapping[str, str]]:
    """The captions.csv of each folder that has one. Raises ConfigError for one that names none of the files."""
    found = [path for path in entries if path.name == CSV_NAME and is_file_inside(path, root)]
    tables = {path.parent: read_captions_csv(path) for path in found}
    known = set(entries)
    for folder, table in tables.items():
        if table and not any(folder / name in known for name in table):
            raise ConfigError(
                str(folder / CSV_NAME),
                expected=f"file names relative to {folder}",
                found=f"{len(table)} rows, and no such file for any of them; the first is {next(iter(table))!r}",
                fix="Write each name as it is below the table's folder, with forward slashes.",
            )
    return tables


def _caption_of(path: Path, root: Path, tables: Mapping[Path, Mapping[str, str]]) -> str | None:
    """The caption beside the file, else the nearest table's. One that cannot be read is told by `fetch`."""
    beside = _text_beside(path, root)
    if beside:
        caption = read_caption_text(beside)
        return None if isinstance(caption, Rejection) else caption
    for folder in path.relative_to(root).parents:
        table = tables.get(root / folder, {})
        caption_here = table.get(path.relative_to(root / folder).as_posix())
        if caption_here is not None:
            return caption_here
    return None


def _text_beside(path: Path, root: Path) -> Path | None:
    """The `.txt` of the same stem, where there is one."""
    beside = path.with_suffix(".txt")
    return beside if is_file_inside(beside, root) else None


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "root"
