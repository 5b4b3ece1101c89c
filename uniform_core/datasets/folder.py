"""Any folder of media, recursively: what somebody has on disk.

Every entry is an item, whatever its name says, so that each gets a clip or a true reason, except plainly written
companions (`COMPANIONS`, captions among them) and what is hidden. A table of captions is an item, too, where a part of
it is not used. Links are followed to files inside the folder only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from typing_extensions import override

from uniform_core.catalog.formats import home_above
from uniform_core.datasets.base import DatasetConfig
from uniform_core.datasets.captions_beside import CSV_NAME
from uniform_core.datasets.folder_captions import CaptionTables, caption_beside, is_table
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fetching.entries import HOME_WORDS, entries_under, is_text, portable_path, why_not
from uniform_core.fingerprint import KEY_HEX, digest
from uniform_core.settings import Settings
from uniform_core.spec import AVSpec
from uniform_core.types import Fraction, SourceItem

VERSION = 1
UNUSED = "unused_captions"  # the attribute of a table of captions that says what of it is not used
COMPANIONS = frozenset(
    {
        *(".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".txt", ".md", ".log", ".nfo"),
        *(".srt", ".vtt", ".md5", ".sha256"),
    }
)


class FolderConfig(DatasetConfig):
    """A folder. `dataset` names it in the tables; where it is null, its own name and its place do.

    A folder that is moved is other data then, unless `dataset` names it as before. Labels are the names of the
    top-level folders. A caption is taken from `<stem>.txt` beside the file, else from the nearest `captions.csv` above
    it that names the file.
    """

    splits = ("train", "held_out")

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
        """Two folders of one name are two datasets: a takedown in one must not hide the other's files."""
        root = self.root
        return self.dataset or f"folder-{_slug(root.name)}-{digest(portable_path(root))[:6]}"

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
        """The path enters by the name alone."""
        return {**self.model_dump(mode="json", exclude={"path", "dataset"}), "dataset": self.name, "version": VERSION}

    @override
    def items(self, spec: AVSpec) -> Iterator[SourceItem]:
        """Every entry, sorted by its path. Raises ConfigError where the folder or a captions.csv is not usable."""
        root = self._checked_root()
        entries = sorted(entries_under(root), key=lambda path: path.relative_to(root).as_posix())
        tables = CaptionTables(entries, root)
        for path in entries:
            is_lost_table = path.name.lower() == CSV_NAME and (path in tables.unused or not is_table(path, root))
            if path.suffix.lower() not in COMPANIONS or is_lost_table:
                yield self._item(path, root, tables)

    @override
    def fetch(self, item: SourceItem, directory: Path) -> Path | Rejection:
        """The item's own file, where it lies; or why it is not to be used."""
        assert item.path is not None  # `_item` gives each one
        problem = why_not(item.path, self.root)
        if problem is not None:
            return problem
        if UNUSED in item.attributes:
            return Rejection("unused_captions", f"a file for every row expected, {item.attributes[UNUSED]}")
        caption = caption_beside(item.path, self.root)
        return caption if isinstance(caption, Rejection) else item.path

    def _item(self, path: Path, root: Path, tables: CaptionTables) -> SourceItem:
        beside = caption_beside(path, root)
        source_id = portable_path(path.relative_to(root))
        parts = path.relative_to(root).parts
        return SourceItem(
            dataset=self.name,
            source_id=source_id,
            split=split_of(source_id, held_out_fraction=self.held_out_fraction),
            label=portable_path(Path(parts[0])) if len(parts) > 1 else None,
            # A text that cannot be read is told by `fetch`, and no table stands in for it.
            caption=tables.caption_of(path) if beside is None else beside if isinstance(beside, str) else None,
            path=path,
            attributes={UNUSED: tables.unused[path]} if path in tables.unused else {},
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


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "root"
