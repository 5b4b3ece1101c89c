"""Files that appear whole or not at all, and the locks between processes of one machine."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from uniform_core.errors import ConfigError, StorageError
from uniform_core.fingerprint import file_sha256

TEMP_PREFIX = ".tmp-"
MARKER = "COMPLETE"  # JSON in a folder that was written whole: the bytes and sha256 of every other file
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def storage_error(item: str, error: OSError) -> StorageError:
    """What the operating system said of a place, in four parts."""
    fix = (
        "Free some room, or set UNIFORM_HOME to a larger disk." if error.errno in _FULL else "Correct its permissions."
    )
    return StorageError(item, expected="a place that can be written", found=error.strerror or str(error), fix=fix)


def expanded(path: str | Path, *, item: str | None = None) -> Path:
    """The path with what a `~` at its beginning stands for. Raises ConfigError for somebody whom nobody knows."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            item or str(path),
            expected="a path, or ~ or ~NAME and a path in that home",
            found=f"{Path(path).parts[0]}, whose home nobody knows",
            fix="Write the path from the root.",
        ) from error


@contextmanager
def reading(item: str) -> Iterator[None]:
    """The block reads what a person has named. Raises ConfigError where the operating system refuses."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            str(error.filename or item),
            expected="a place that can be read",
            found=error.strerror or str(error),
            fix="Correct its permissions, or the path.",
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which becomes `path` where the block ends well and goes where it does not.

    The file is there, empty and locked, from the start: `is_being_written` tells it from what a dead process left.
    Raises StorageError where the operating system refuses (disk full, no permission).
    """
    temp = path.with_name(f"{TEMP_PREFIX}{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(temp) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH)
            yield temp
            fsync(temp)
            temp.replace(path)
        fsync(path.parent)
    except OSError as error:
        raise storage_error(str(path), error) from error
    finally:
        with suppress(OSError):  # it became `path`, or there never was a place for it
            temp.unlink()


def is_being_written(temp: Path) -> bool:
    """Whether a process of this machine that still lives writes this temporary file of `whole_file`."""
    try:
        with temp.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):  # in the second case it was finished or given up just now
        return True
    return False


def older_than(paths: Iterable[Path], moment: datetime) -> list[Path]:
    """Those of the files that were last written before the moment; files that are gone by now are left out.

    A link is as old as itself, whatever it leads to.
    """
    old = []
    for path in paths:
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < moment.timestamp():
                old.append(path)
    return old


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path leads to a place under a root, whatever links and dots lie on the way."""
    return path.resolve().is_relative_to(root.resolve())


def remove(path: Path) -> None:
    """The file is gone, also where it already was. Raises StorageError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(str(path), error) from error


def write_text(path: Path, text: str) -> None:
    """The file holds `text`, whole. Raises StorageError; what was there before then stays."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """The file holds `data`, whole. Raises StorageError; what was there before then stays."""
    with whole_file(path) as temp:
        temp.write_bytes(data)


def find_damage(folder: Path) -> str | None:
    """What is wrong with a folder that has a marker when it is whole; None where it is as it was written."""
    try:
        marker = json.loads((folder / MARKER).read_text())
        said = {name: (facts["bytes"], facts["sha256"]) for name, facts in marker.items()}
    except FileNotFoundError:
        return f"no {MARKER} marker"
    except ValueError:
        return f"{MARKER} marker is not JSON"
    except (AttributeError, KeyError, TypeError, OSError):
        return f"{MARKER} marker does not name files with their bytes and sha256"
    if not said:
        return f"{MARKER} marker names no files"
    for name, (size, sha256) in said.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes, not {size}"
        if file_sha256(path) != sha256:
            return f"{name} has other content than was written"
    return None


def fsync(path: Path) -> None:
    """The file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(path: Path, place: Path) -> None:
    """The file is at its place on the same disk, whole and synced. Raises StorageError."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fsync(path)
        path.replace(place)
        fsync(place.parent)
    except OSError as error:
        raise storage_error(str(place), error) from error


def lock_file(path: Path) -> IO[bytes]:
    """The file of a lock, open, and made where there is none. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _opened(path)
    except OSError as error:
        raise storage_error(str(path), error) from error


@contextmanager
def lock(path: Path, *, shared: bool) -> Iterator[None]:
    """The block runs beside other shared holders, or alone. The kernel frees the lock of a process that dies.

    Raises StorageError where the lock's file cannot be made.
    """
    with lock_file(path) as handle:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Whether the block runs alone; it runs in any case, and nobody is waited for.

    Raises StorageError where the lock's file cannot be made.
    """
    with lock_file(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b", buffering=0)
