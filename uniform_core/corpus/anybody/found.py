"""The media files of a folder, as clips by their names: a film, a sound, or a silent film with its sound beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uniform_core.errors import ConfigError
from uniform_core.fetching.entries import is_text
from uniform_core.files import is_inside, reading

FILMS: Final = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
SOUNDS: Final = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")
SHOWN = 3  # names in an error


@dataclass(frozen=True)
class MediaFiles:
    """The files of one clip. `film` may hold its sound too; `sound` is a file of its own, and counts before it."""

    film: Path | None
    sound: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.film, self.sound) if path is not None)


def found_in(root: Path, *, flag: str) -> dict[str, MediaFiles]:
    """The clips of a folder and its folders, by their path without the suffix, in the order of these keys.

    What is hidden or has no suffix of media is left out. Raises ConfigError for no folder, no media file, files that
    are empty, that a link leads out of the folder for, that two of one kind have one name, or whose names are no text.
    """
    item = f"{flag} {root}"
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing there"
        raise ConfigError(item, expected="a folder", found=found, fix="Correct the path.")
    with reading(item):
        paths = sorted(_media_under(root))
    if not paths:
        known = " ".join((*FILMS, *SOUNDS))
        raise ConfigError(item, expected=f"media files ({known})", found="none", fix="Correct the path.")
    _require(item, "names that are text", [path for path in paths if not is_text(str(path))], "Rename them.")
    outside = [path for path in paths if not is_inside(path, root)]
    _require(item, "files inside the folder", outside, "Links lead out of it: copy what they lead to.", root=root)
    with reading(item):
        empty = [path for path in paths if not path.stat().st_size]
    _require(item, "files with something in them", empty, "Make them again, or move them away.", root=root)
    return _by_key(root, paths, item)


def _media_under(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in (*FILMS, *SOUNDS):
                yield path


def _by_key(root: Path, paths: Sequence[Path], item: str) -> dict[str, MediaFiles]:
    films: dict[str, Path] = {}
    sounds: dict[str, Path] = {}
    for path in paths:
        kind = films if path.suffix.lower() in FILMS else sounds
        key = path.relative_to(root).with_suffix("").as_posix()
        if key in kind:
            raise ConfigError(
                item,
                expected="one file of a kind for each name",
                found=f"{kind[key].relative_to(root)} and {path.relative_to(root)}",
                fix="Move one of them away.",
            )
        kind[key] = path
    return {key: MediaFiles(films.get(key), sounds.get(key)) for key in sorted(films.keys() | sounds.keys())}


def _require(item: str, expected: str, wrong: Sequence[Path], fix: str, *, root: Path | None = None) -> None:
    if wrong:
        named = [ascii(str(path)) if root is None else str(path.relative_to(root)) for path in wrong]
        raise ConfigError(item, expected=expected, found=f"{len(wrong)} others: {some(named)}", fix=fix)


def some(names: Sequence[str]) -> str:
    """The first few names, and that there are more."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
