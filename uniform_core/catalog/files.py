"""Files that appear whole or not at all, and the locks between processes of one machine."""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uniform_core.errors import StorageError

TEMP_PREFIX = ".tmp-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def storage_error(item: str, error: OSError) -> StorageError:
    """What the operating system said of a place, in four parts."""
    fix = (
        "Free some room, or set UNIFORM_HOME to a larger disk." if error.errno in _FULL else "Correct its permissions."
    )
    return StorageError(item, expected="a place that can be written", found=error.strerror or str(error), fix=fix)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which becomes `path` where the block ends well and goes where it does not.

    Raises StorageError where the operating system refuses (disk full, no permission).
    """
    temp = path.with_name(f"{TEMP_PREFIX}{uuid.uuid4().hex}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temp
        fsync(temp)
        temp.replace(path)
        fsync(path.parent)
    except OSError as error:
        raise storage_error(str(path), error) from error
    finally:
        temp.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """The file holds `text`, whole. Raises StorageError."""
    with whole_file(path) as temp:
        temp.write_text(text, encoding="utf-8")


def fsync(path: Path) -> None:
    """The file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def lock(path: Path, *, shared: bool) -> Iterator[None]:
    """The block runs beside other shared holders, or alone. The kernel frees the lock of a process that dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
