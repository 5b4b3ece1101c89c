"""What an archive has, written down once: where each clip lies in a plain tar, or where it was unpacked to.

A compressed tar has no middle to begin at, so all its clips are unpacked in one pass; sound and pictures do not become
larger by that. Names of members choose nothing but which clip they are.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from pydantic import ValidationError

from uniform_core.download import require_room
from uniform_core.errors import StorageError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.entries import portable_path
from uniform_core.fetching.tars.blocks import Member, TarReader
from uniform_core.fetching.tars.gzips import MAGIC, BombError, Gap, GzipStream, PlainStream
from uniform_core.files import TEMP_PREFIX, lock, storage_error, write_text
from uniform_core.fingerprint import digest
from uniform_core.types import Frozen, NonNegative

VERSION: Final = 1
PIECE: Final = 1 << 20
MOST_MEMBERS: Final = 5_000_000
_NAME: Final = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})(\.[A-Za-z0-9]{1,5})")


@dataclass(frozen=True)
class TarRules:
    """What is taken from an archive. More than `most_ratio` times its own bytes do not come out of an honest one."""

    suffixes: frozenset[str]
    most_member_bytes: int
    most_ratio: int = 20


class Listed(Frozen):
    """A clip of an archive: where its content begins in the stream, how long it is, and the suffix of its name."""

    offset: NonNegative
    size: NonNegative
    suffix: str


class Refusal(Frozen):
    """Why a clip of an archive is not handed out."""

    failure: FailureClass
    message: str


class TarListing(Frozen):
    """What an archive has. `refused` are its clips that are not handed out; `gaps` says how often it is damaged."""

    version: int = VERSION
    is_packed: bool
    clips: dict[str, Listed]
    refused: dict[str, Refusal]
    gaps: NonNegative
    note: str = ""


class Archive:
    """One tar on disk and what was written down of it in the cache."""

    def __init__(self, path: Path, cache: Path, rules: TarRules) -> None:
        self.path, self._rules = path, rules
        state = path.stat()
        facts = [portable_path(path), state.st_size, state.st_mtime_ns]
        key = digest([*facts, sorted(rules.suffixes), rules.most_member_bytes])
        self._size = state.st_size
        self._list_path, self.folder = cache / f"{key}.json", cache / key

    def listing(self, *, anew: bool = False) -> TarListing:
        """What the archive has: as it was written down, else read now, by one worker while the others wait for it.

        Raises StorageError where the archive cannot be read or the cache cannot be written.
        """
        with lock(self._list_path.with_suffix(".lock"), shared=False):
            found = None if anew else self._written()
            if found is None:
                found = self._read()
                write_text(self._list_path, found.model_dump_json())
        return found

    def unpacked(self, stem: str, listed: Listed) -> Path:
        """Where a clip of a compressed archive was unpacked to."""
        return self.folder / f"{stem}{listed.suffix}"

    def _written(self) -> TarListing | None:
        try:
            found = TarListing.model_validate_json(self._list_path.read_bytes())
        except (FileNotFoundError, ValidationError):  # of another version: it is read again
            return None
        return found if found.version == VERSION else None

    def _read(self) -> TarListing:
        try:
            return self._read_through()
        except OSError as error:
            found, fix = error.strerror or str(error), "Look at the disk, or leave the archive out."
            raise StorageError(str(self.path), expected="an archive that can be read", found=found, fix=fix) from error

    def _read_through(self) -> TarListing:
        with self.path.open("rb") as file:
            is_packed = file.read(len(MAGIC)) == MAGIC
            file.seek(0)
            if not is_packed:
                return _listed(TarReader(PlainStream(file)), self._rules, self._placed)
            require_room(self.folder, self._size, item=str(self.path))
            stream = GzipStream(file, most_bytes=self._rules.most_ratio * self._size + PIECE)
            return _listed(TarReader(stream), self._rules, self._unpack, is_packed=True)

    def _placed(self, _reader: TarReader, member: Member, _stem: str, _suffix: str) -> Refusal | None:
        """Why a clip of a plain archive is not whole; None where it is."""
        end = member.offset + member.size
        return None if end <= self._size else _bad(f"the archive ends at byte {self._size:,}, the clip at {end:,}")

    def _unpack(self, reader: TarReader, member: Member, stem: str, suffix: str) -> Refusal | None:
        """The clip stands in the folder; or why not. Raises StorageError."""
        path = self.folder / f"{stem}{suffix}"
        if path.is_file() and path.stat().st_size == member.size:  # of a pass that was ended
            return None
        temp = path.with_name(f"{TEMP_PREFIX}{stem}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temp.open("wb") as out:
                copy_member(reader, out)
            temp.replace(path)
        except Gap:
            return _bad("the archive is damaged within it")
        except OSError as error:
            raise storage_error(str(path), error) from error
        finally:
            with suppress(OSError):
                temp.unlink()
        return None


def copy_member(reader: TarReader, out: IO[bytes]) -> None:
    """The content of the member that came last is in the file. Raises Gap."""
    while piece := reader.read(PIECE):
        out.write(piece)


def _listed(
    reader: TarReader,
    rules: TarRules,
    take: Callable[[TarReader, Member, str, str], Refusal | None],
    *,
    is_packed: bool = False,
) -> TarListing:
    """What the archive has, each clip once. `take` does what is to be done with one, and says why it cannot."""
    clips: dict[str, Listed] = {}
    refused: dict[str, Refusal] = {}
    note = ""
    try:
        for number, member in enumerate(reader, start=1):
            if number > MOST_MEMBERS:
                note = f"only its first {MOST_MEMBERS:,} members were looked at"
                break
            name = _NAME.fullmatch(PurePosixPath(member.name).name)
            if name is None or name[2].lower() not in rules.suffixes or name[1] in clips:
                continue
            stem, suffix = name[1], name[2].lower()
            why = _why_not(member, rules) or take(reader, member, stem, suffix)
            if why is None:
                clips[stem] = Listed(offset=member.offset, size=member.size, suffix=suffix)
                refused.pop(stem, None)
            else:
                refused[stem] = why
    except BombError:
        note = f"more than {rules.most_ratio} times its own bytes came out of it: the rest was left"
    except zlib.error as error:
        note = f"the rest was left: {error}"
    return TarListing(is_packed=is_packed, clips=clips, refused=refused, gaps=reader.gaps, note=note)


def _bad(message: str) -> Refusal:
    return Refusal(failure=FailureClass.BAD_MEDIA, message=message)


def _why_not(member: Member, rules: TarRules) -> Refusal | None:
    """Why a member is not to be handed out, whatever is in it."""
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts:
        return _bad("a name inside the archive expected, one that leads out of it found")
    if not member.is_file:
        return _bad("a file expected, a link, folder or device found")
    if not member.size:
        return _bad("a clip expected, an empty file found")
    if member.size > rules.most_member_bytes:
        found = f"at most {rules.most_member_bytes:,} bytes expected, {member.size:,} found"
        return Refusal(failure=FailureClass.TOO_LARGE, message=found)
    return None
