"""Turns at the cores of a machine, for processes that mostly wait for something else and are more than the cores.

Eight decoders on two cores take each other's caches: a clip costs a sixth more CPU than where two decode at a time
(docs/experiments.md, "Fetching").
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from uniform_core.files import try_lock

POLL_S = 0.02  # several wait as a rule, so the first of them looks sooner


class Turns:
    """As many turns at a time as this process may use cores, shared by all processes that name the same folder.

    Each machine has its own in it, as locks, which the kernel frees when their process dies. A turn is a courtesy: who
    has waited `patience_s` goes ahead without one, so that what hangs stops nobody.
    """

    def __init__(self, folder: Path, *, places: int | None = None, patience_s: float = 30.0) -> None:
        self._folder = folder / platform.node()
        self._places = places or len(os.sched_getaffinity(0))
        self._patience_s = patience_s

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Whether the block has a turn; it runs in any case. Raises StorageError where locks cannot be made."""
        ends_s = time.monotonic() + self._patience_s
        with ExitStack() as held:
            while not (has_turn := self._taken(held)) and time.monotonic() < ends_s:
                held.close()
                time.sleep(POLL_S)
            yield has_turn

    def _taken(self, held: ExitStack) -> bool:
        return any(held.enter_context(try_lock(self._folder / str(place))) for place in range(self._places))
