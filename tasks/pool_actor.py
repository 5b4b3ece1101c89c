"""What runs inside a pool's process: a worker that is loaded once, and replies that say what happened to a batch."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import psutil

from tasks.cpu import CpuMeter
from uniform_core.errors import UniformError


class Worker(Protocol):
    """A worker loads in `__init__(**setup)`; then batches stream through `process`.

    `process` returns one result for each item, in order; an item that is bad data gets a `Rejection`. Any exception
    that leaves it is bad code, and stops the run.
    """

    def process(self, batch: Sequence[Any], /) -> Sequence[Any]:
        """One result, or one `Rejection`, for each item of the batch."""


@runtime_checkable
class Closes(Protocol):
    """A worker that holds more than memory (a child process, say) has `close`: called when its actor loads another."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Home:
    """Which process an actor is: enough to kill that one and no other."""

    host: str
    pid: int
    created: float


@dataclass(frozen=True)
class Done:
    """A batch that came through: its results, and the CPU seconds that it took (children included)."""

    results: tuple[Any, ...]
    cpu_s: float


@dataclass(frozen=True)
class Raised:
    """An exception left the worker's code. `error` is that exception where it is one of ours."""

    summary: str
    traceback: str
    error: UniformError | None


@dataclass(frozen=True)
class OutOfMemory:
    """The worker could not allocate: the batch is too large for it, or one of its items is."""

    summary: str


class PoolActor:
    """The actor around a worker. No exception of the worker leaves it as an exception: Ray would hide its kind."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._meter, self._cpu_s = CpuMeter(), 0.0

    def load(self, worker: type[Worker], setup: Mapping[str, Any]) -> Home | Raised | OutOfMemory:
        """The process that is now ready to work, or why it is not. A worker that was loaded before is let go first."""
        old, self._worker = self._worker, None
        try:
            _close(old)
            del old
            self._worker = worker(**setup)
        except Exception as error:  # the border: translated, not swallowed
            return _reply_of(error)
        return Home(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def process(self, batch: Sequence[Any]) -> Done | Raised | OutOfMemory:
        """What became of a batch."""
        assert self._worker is not None, "`load` comes before every pool's first batch"
        try:
            results = tuple(self._worker.process(batch))
        except Exception as error:  # the border: translated, not swallowed
            return _reply_of(error)
        if len(results) != len(batch):
            return Raised(f"{len(results)} results for a batch of {len(batch)} items", "", None)
        before, self._cpu_s = self._cpu_s, self._meter.read_s()
        return Done(results, max(0.0, self._cpu_s - before))


def _close(worker: object) -> None:
    if isinstance(worker, Closes):
        worker.close()


def _reply_of(error: Exception) -> Raised | OutOfMemory:
    summary = f"{type(error).__name__}: {error}"
    # torch's own class is not imported here: this process may not need torch at all
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory(summary)
    return Raised(summary, traceback.format_exc(), error if isinstance(error, UniformError) else None)
