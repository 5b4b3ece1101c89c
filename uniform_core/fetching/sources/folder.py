"""A folder of clips that somebody has already, found by their names at any depth. Nothing in it is changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, Literal

from typing_extensions import override

from uniform_core.errors import ConfigError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.entries import entries_under, is_text, portable_path, why_not
from uniform_core.fetching.outcome import Absent, Failed, Found, Outcome
from uniform_core.fetching.sources.base import Means, SourceConfig
from uniform_core.fetching.wanted import WantedClip, WantedVideo
from uniform_core.types import Count

MEDIA: Final = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".mpg", ".mpeg", ".ts", ".3gp"})


class FolderSource(SourceConfig):
    """A folder; a clip is the file that is called `<source_id>.mp4`, or with another suffix of media.

    Where there is none, it is the file by the first other name that copies of the dataset have for it.
    """

    is_copy: ClassVar[bool] = True
    kind: Literal["folder"] = "folder"
    path: Path
    most_files: Count = 5_000_000  # a folder with more is the root of a disk, and no dataset

    @classmethod
    def example(cls) -> FolderSource:
        return cls(path=Path("copies"))

    @property
    @override
    def places(self) -> tuple[Path, ...]:
        return (self.path,)

    @override
    def open(self, means: Means) -> OpenFolder:
        """The folder, walked once. Raises ConfigError where it is none, or has too many files."""
        root = place(self.path, what="a folder of clips", item=f"source folder:{self.path}")
        if not root.is_dir():
            raise ConfigError(
                f"source folder:{self.path}", expected="a folder of clips", found="a file", fix="Name the folder."
            )
        return OpenFolder(root, self._listed(root))

    def _listed(self, root: Path) -> dict[str, Path]:
        """Where each name is; of two files of one name, the first by its path."""
        listed: dict[str, Path] = {}
        for number, path in enumerate(entries_under(root), start=1):
            if number > self.most_files:
                raise ConfigError(
                    f"source folder:{self.path}",
                    expected=f"at most {self.most_files:,} files",
                    found="more",
                    fix="Name the folder of the clips alone.",
                )
            if path.suffix.lower() in MEDIA and is_text(path.name):
                other = listed.get(path.stem)
                listed[path.stem] = path if other is None else min(path, other)
        return listed


class OpenFolder:
    """The folder in a worker: what it had when it was opened."""

    def __init__(self, root: Path, listed: Mapping[str, Path]) -> None:
        self._root, self._listed = root, listed

    def fetch(self, video: WantedVideo) -> dict[str, Outcome]:
        return {clip.source_id: self._outcome(clip) for clip in video.clips}

    def close(self) -> None:
        """Nothing is held open."""

    def _outcome(self, clip: WantedClip) -> Outcome:
        path = next((self._listed[stem] for stem in clip.stems if stem in self._listed), None)
        if path is None:
            return Absent()
        problem = why_not(path, self._root)
        if problem is not None:
            failure = FailureClass.BAD_MEDIA if problem.terminal else FailureClass.TRANSIENT
            return Failed(failure, f"{portable_path(path)}: {problem.message}", is_final=problem.terminal)
        if not path.stat().st_size:
            said = f"{portable_path(path)}: a clip expected, an empty file found"
            return Failed(FailureClass.BAD_MEDIA, said, is_final=True)
        return Found(path, portable_path(path), is_owned=False)


def place(path: Path, *, what: str, item: str) -> Path:
    """A path of a config, absolute and without links. Raises ConfigError where nothing is there."""
    try:
        found = path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, an unknown home, a NUL
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigError(item, expected=what, found=said, fix="Correct the path.") from error
    return found
