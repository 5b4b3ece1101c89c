"""Tar archives of clips, as mirrors give them: plain or gzip, clips found by their names at any depth."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field
from typing_extensions import override

from uniform_core.errors import ConfigError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.entries import portable_path
from uniform_core.fetching.outcome import Absent, Failed, Found, Outcome
from uniform_core.fetching.sources.base import Means, SourceConfig
from uniform_core.fetching.sources.folder import MEDIA, place
from uniform_core.fetching.tars.listing import PIECE, Archive, Listed, TarListing, TarRules
from uniform_core.fetching.wanted import WantedClip, WantedVideo
from uniform_core.files import storage_error
from uniform_core.types import Count

SUFFIXES: Final = (".tar", ".tar.gz", ".tgz")
LISTS: Final = "tars"  # the folder of listings, and of what was unpacked, in the cache


class TarSource(SourceConfig):
    """One or more archives, or folders of them; a clip is the member that is called `<source_id>.mp4`, or otherwise.

    The names that copies of the dataset have for it are looked for in their order, each in all archives.
    A compressed archive is unpacked once, into the cache: it takes as much room again.
    """

    is_copy: ClassVar[bool] = True
    kind: Literal["tar"] = "tar"
    paths: tuple[Path, ...] = Field(min_length=1)
    most_member_bytes: Count = 512 << 20

    @classmethod
    def example(cls) -> TarSource:
        return cls(paths=(Path("copies.tar"),))

    @property
    @override
    def places(self) -> tuple[Path, ...]:
        return self.paths

    @override
    def open(self, means: Means) -> OpenTars:
        """The archives, not yet read. Raises ConfigError where one is not there."""
        rules = TarRules(suffixes=MEDIA, most_member_bytes=self.most_member_bytes)
        paths = [archive for path in self.paths for archive in _archives(path)]
        return OpenTars([Archive(path, means.cache_dir / LISTS, rules) for path in dict.fromkeys(paths)], means)


class OpenTars:
    """The archives in a worker. They are listed when the first clip is asked for."""

    def __init__(self, archives: list[Archive], means: Means) -> None:
        self._archives, self._means = archives, means
        self._listings: list[TarListing] | None = None

    def fetch(self, video: WantedVideo) -> dict[str, Outcome]:
        return {clip.source_id: self._outcome(clip) for clip in video.clips}

    def close(self) -> None:
        self._listings = None

    def _outcome(self, clip: WantedClip) -> Outcome:
        """The clip from the first archive that has it; a failure only where none has it whole."""
        failed: Failed | None = None
        for stem, (archive, listing) in product(clip.stems, list(self._listed())):
            name = portable_path(archive.path)
            listed = listing.clips.get(stem)
            if listed is not None:
                path = self._handed_out(archive, stem, listed, is_packed=listing.is_packed)
                if path is not None:
                    return Found(path, f"{name}#{stem}{listed.suffix}")
                failed = Failed(FailureClass.BAD_MEDIA, f"{name}: {stem} cannot be read again")
            elif failed is None and stem in listing.refused:
                why = listing.refused[stem]
                failed = Failed(why.failure, f"{name}, member {stem}: {why.message}", is_final=True)
        return failed or Absent()

    def _listed(self) -> Iterator[tuple[Archive, TarListing]]:
        """Each archive with what it has. Workers begin with different ones, so that they read them side by side."""
        if self._listings is None:
            first = os.getpid() % len(self._archives)
            order = [*range(first, len(self._archives)), *range(first)]
            read = {number: self._archives[number].listing() for number in order}
            self._listings = [read[number] for number in range(len(self._archives))]
        yield from zip(self._archives, self._listings, strict=True)

    def _handed_out(self, archive: Archive, stem: str, listed: Listed, *, is_packed: bool) -> Path | None:
        """The clip's file under scratch; None where the archive no longer has it. Raises StorageError."""
        path = self._means.scratch / f"tar-{uuid.uuid4().hex}{listed.suffix}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not is_packed:
                return path if _copied(archive.path, path, listed) else None
            unpacked = archive.unpacked(stem, listed)
            if not _has(unpacked, listed.size):  # somebody has cleared the cache
                archive.listing(anew=True)
            if not _has(unpacked, listed.size):
                return None
            _link(unpacked, path)
        except OSError as error:
            raise storage_error(str(path), error) from error
        return path


def _archives(path: Path) -> list[Path]:
    """The archives that a path of the config means. Raises ConfigError where there are none."""
    item = f"source tar:{path}"
    found = place(path, what="an archive or a folder of archives", item=item)
    if found.is_file():
        return [found]
    inside = sorted(one for one in found.glob("*") if one.name.lower().endswith(SUFFIXES) and one.is_file())
    if not inside:
        raise ConfigError(
            item, expected=f"files that end in {', '.join(SUFFIXES)}", found="none", fix="Name the folder of archives."
        )
    return [one.resolve() for one in inside]


def _copied(archive: Path, path: Path, listed: Listed) -> bool:
    """Whether the clip's bytes were all there, and are in the file now."""
    left = listed.size
    with archive.open("rb") as file, path.open("wb") as out:
        file.seek(listed.offset)
        while left > 0 and (piece := file.read(min(left, PIECE))):
            out.write(piece)
            left -= len(piece)
    if left:
        path.unlink()
    return left == 0


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _link(unpacked: Path, path: Path) -> None:
    """The file under a second name, which is the caller's: no byte is copied where the disk knows links."""
    try:
        path.hardlink_to(unpacked)
    except OSError:
        shutil.copyfile(unpacked, path)
