"""Which generated clip belongs to which real one: by their names, or by a CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from uniform_core.corpus.anybody.found import MediaFiles, some
from uniform_core.errors import ConfigError
from uniform_core.files import reading

COLUMNS: Final = ("generated", "reference")
Files = Mapping[str, MediaFiles]


@dataclass(frozen=True)
class Sides:
    """The clips of both sides. Those that belong together have one key."""

    generated: Files
    reference: Files

    @property
    def pairs(self) -> tuple[str, ...]:
        """The keys of clips that have a partner."""
        return tuple(key for key in self.generated if key in self.reference)

    def first(self, limit: int | None) -> Sides:
        """The first clips of both sides by their keys; of real ones the partners first."""
        if limit is None:
            return self
        generated = dict(list(self.generated.items())[:limit])
        chosen = [key for key in generated if key in self.reference]
        chosen += [key for key in self.reference if key not in generated][: limit - len(chosen)]
        return Sides(generated, {key: self.reference[key] for key in sorted(chosen)})


def require_partners(sides: Sides, *, why: str) -> None:
    """Raises ConfigError where a generated clip has no real one of its name: how many, and the first of each side."""
    lonely = [key for key in sides.generated if key not in sides.reference]
    if not lonely:
        return
    others = [key for key in sides.reference if key not in sides.generated]
    beside = f"; of the reference {len(others)} are left over: {some(others)}" if others else ""
    raise ConfigError(
        "names",
        expected=f"a real clip for each generated one ({why})",
        found=f"none for {len(lonely)} of {len(sides.generated)}: {some(lonely)}{beside}",
        fix=f"Give the files the same names, or a table with --match (a CSV with the columns {', '.join(COLUMNS)}).",
    )


def by_table(path: Path, sides: Sides) -> Sides:
    """The clips that a CSV pairs, and no others; a pair's key is that of its generated clip.

    Cells are names as they lie in the folders, with or without their suffix. Raises ConfigError, with the line's
    number, for a cell that is none of them, and for one that is there twice.
    """
    item = f"--match {path}"
    with reading(item):
        data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(item, expected="UTF-8", found=str(error), fix="Save it as UTF-8.") from error
    generated: dict[str, MediaFiles] = {}
    reference: dict[str, MediaFiles] = {}
    lines: dict[str, int] = {}
    for line, cells in _rows(text, item):
        made = _key(cells["generated"], sides.generated, item=f"{item}, line {line}, generated")
        real = _key(cells["reference"], sides.reference, item=f"{item}, line {line}, reference")
        if made in lines:
            found = f"{made!r} a second time, after line {lines[made]}"
            raise ConfigError(f"{item}, line {line}", expected="each generated clip once", found=found, fix="Drop one.")
        lines[made] = line
        generated[made], reference[made] = sides.generated[made], sides.reference[real]
    if not generated:
        raise ConfigError(item, expected="a line for each pair", found="none", fix="Write them below the titles.")
    return Sides(dict(sorted(generated.items())), dict(sorted(reference.items())))


def _rows(text: str, item: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of each line and its two cells."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    titles: list[str] | None = None
    try:
        for cells in reader:
            if titles is None:
                titles = [cell.strip().lower() for cell in cells]
                if sorted(titles) != sorted(COLUMNS):
                    raise ConfigError(
                        f"{item}, line 1",
                        expected=f"the titles {', '.join(COLUMNS)}",
                        found=repr(",".join(cells))[:200],
                        fix="Write them in the first line.",
                    )
            elif cells:
                if len(cells) != len(COLUMNS):
                    found = f"{len(cells)} cells"
                    raise ConfigError(
                        f"{item}, line {reader.line_num}", expected="2 cells", found=found, fix="Correct it."
                    )
                yield reader.line_num, dict(zip(titles, cells, strict=True))
    except csv.Error as error:
        raise ConfigError(
            f"{item}, line {reader.line_num}", expected="CSV", found=str(error), fix="Correct the line."
        ) from error


def _key(cell: str, known: Files, *, item: str) -> str:
    """The key that a cell names. What is no plain path inside the folder is refused before anything is looked up."""
    said, path = ascii(cell[:200]), PurePosixPath(cell)
    if not cell.strip() or not path.name:
        wrong = "nothing"
    elif not cell.isprintable():
        wrong = f"{said}, with signs that are not shown"
    elif path.is_absolute() or "\\" in cell or ".." in path.parts:
        wrong = f"{said}, which is no path inside the folder"
    else:
        plain, bare = path.as_posix(), path.with_suffix("").as_posix()
        if plain in known:
            return plain
        if bare in known and _has(known[bare], path.suffix):
            return bare
        wrong = f"{said}, which is not there"
    raise ConfigError(item, expected="the name of a file of the folder", found=wrong, fix="Correct the cell.")


def _has(files: MediaFiles, suffix: str) -> bool:
    return any(path.suffix == suffix for path in files.paths)
