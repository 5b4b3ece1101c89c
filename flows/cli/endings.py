"""How a command ends when it does not end well: one paragraph on stderr, and the exit code."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

from uniform_core.errors import StorageError, UniformError

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def exit_code_of(error: BaseException) -> int:
    """The exit code for what ended a command, after it was said.

    1 or 2 as an error of ours knows, 130 at Ctrl-C, 143 at SIGTERM, 0 where nobody reads any more.

    Raises the error itself where it is none of those that a command may end with.
    """
    if isinstance(error, BrokenPipeError):  # `uniform query … | head`
        sys.stderr.close()
        return 0
    if isinstance(error, KeyboardInterrupt | Terminated):
        how, code = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
        print(f"\n{how}: what was committed stays; run the same command again to go on", file=sys.stderr)
        return code
    known = _no_room(error) if isinstance(error, OSError) and error.errno in FULL else error
    if not isinstance(known, UniformError):
        raise known
    print("\n" + _paragraph(known), file=sys.stderr)
    return known.exit_code


def _paragraph(error: UniformError) -> str:
    """An error as a person reads it; paths stay whole, so that they can be copied."""
    return textwrap.fill(f"error: {error}", 110, break_long_words=False, break_on_hyphens=False)


def _no_room(error: OSError) -> StorageError:
    """A full disk that was met outside the tables and shards, which say it themselves."""
    return StorageError(
        str(error.filename or "the disk"),
        expected="room to write",
        found=error.strerror or str(error),
        fix="Make room, then run the same command again: what was committed stays.",
    )


class Terminated(BaseException):
    """SIGTERM came: every block ends as at Ctrl-C, so that no child is left."""


@contextlib.contextmanager
def termination_unwinds() -> Iterator[None]:
    """SIGTERM ends the block by an exception; where this is no main thread, it stays as it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
