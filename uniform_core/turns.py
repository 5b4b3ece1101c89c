"""Turns at the cores of a machine, for processes that mostly wait for something else and are more than the cores.

Eight decoders on two cores take each other's caches: a clip costs a sixth more CPU than where two decode at a time
(docs/experiments.md, "Decoding by turns").
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from uniform_core.files import lock_file

POLL_S = 0.02  # several wait as a rule, so the first of them looks sooner


class Turns:
    """As many turns at a time as this process may use cores, shared by all processes that name the same folder.

    Each machine has its own in it, as locks, which the kernel frees when their process dies. A turn is a courtesy: who
    has waited `patience_s` goes ahead without one, so that what hangs stops nobody. A thread takes one at a time.
    """

    def __init__(self, folder: Path, *, places: int | None = None, patience_s: float = 30.0) -> None:
        self._folder = folder / platform.node()
        self._places = places or len(os.sched_getaffinity(0))
        self._patience_s = patience_s
        self._locks: list[IO[bytes]] = []

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Whether the block has a turn; it runs in any case. Raises StorageError where locks cannot be made."""
        ends_s = time.monotonic() + self._patience_s
        while (held := self._free()) is None and time.monotonic() < ends_s:
            time.sleep(POLL_S)
        try:
            yield held is not None
        finally:
            if held is not None:
                fcntl.flock(held, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the locks; no block has a turn then."""
        for handle in self._locks:
            handle.close()
        self._locks.clear()

    def _free(self) -> IO[bytes] | None:
        """A lock that is ours now; None where others have all of them. Opened once: looking is two calls then."""
        if not self._locks:
            self._locks += [lock_file(self._folder / str(place)) for place in range(self._places)]
        for handle in self._locks:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return handle
        return None
