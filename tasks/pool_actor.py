"""What runs inside a pool's process: a worker that is loaded once, and replies that say what happened to a batch.

Work is of one part or of two. Of two, a reader makes of each item what the worker looks at (it decodes a clip, say);
both may be in one process, or each in processes of its own, with what was read handed over by Ray's object store.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import psutil

from tasks.cpu import CpuMeter
from uniform_core.errors import Rejection, UniformError

DECODE, MODEL, WORK = "decode", "model", "worker"  # the two parts, and work that is of one, as a person reads them


class Worker(Protocol):
    """A worker loads in `__init__(**setup)`; then batches stream through `process`.

    `process` returns one result for each item, in order; an item that is bad data gets a `Rejection`. Any exception
    that leaves it is bad code, and stops the run. Behind a reader its items are `Seen`.
    """

    def process(self, batch: Sequence[Any], /) -> Sequence[Any]:
        """One result, or one `Rejection`, for each item of the batch."""


class Reader(Protocol):
    """The part of a work that needs a core and no model. It loads as a worker does."""

    def read(self, batch: Sequence[Any], /) -> Sequence[Read | Rejection]:
        """What the worker is to look at, or a `Rejection`, for each item of the batch."""


@dataclass(frozen=True)
class Read:
    """What a reader made of an item: values that travel between processes (best NumPy arrays), and their bytes."""

    value: Any
    bytes: int


@dataclass(frozen=True)
class Seen:
    """An item, and what a reader made of it. The arrays in it may be read-only: they lie in shared memory."""

    item: Any
    value: Any


@dataclass(frozen=True)
class Part:
    """A class of workers or readers, and what each is set up with."""

    kind: type[Any]
    setup: Mapping[str, Any]


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
class Ready:
    """The worker is loaded."""


@dataclass(frozen=True)
class Done:
    """A batch that came through: its results, the CPU seconds that it took (children included), and where time went.

    Of a reader alone the results are `Rejection` or the bytes of what lies in the reply beside this one.
    """

    results: tuple[Any, ...]
    cpu_s: float
    wall_s: Mapping[str, float] = field(default_factory=dict)  # by part


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
        self._worker: Any = None
        self._reader: Any = None  # in front of the worker, in the same process
        self._meter, self._cpu_s = CpuMeter(), 0.0

    def arrive(self) -> Home:
        """Which process this is, once there is one: until then the actor waits for a place."""
        return Home(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def load(
        self, worker: type[Any], setup: Mapping[str, Any], reader: Part | None = None
    ) -> Ready | Raised | OutOfMemory:
        """That the process is ready to work, or why it is not. What was loaded before is let go first."""
        try:
            self.let_go()
            self._reader = None if reader is None else reader.kind(**reader.setup)
            self._worker = worker(**setup)
        except Exception as error:  # the border: translated, not swallowed
            return _reply_of(error)
        return Ready()

    def let_go(self) -> None:
        """Close what is loaded, and hold it no longer."""
        old, self._worker, self._reader = (self._worker, self._reader), None, None
        for one in old:
            if isinstance(one, Closes):
                one.close()

    def process(self, batch: Sequence[Any]) -> Done | Raised | OutOfMemory:
        """What became of a batch of items; a reader in this process has read them first."""
        assert self._worker is not None, "`load` comes before every pool's first batch"
        try:
            return self._process(batch, WORK) if self._reader is None else self._read_and_process(batch)
        except Exception as error:  # the border: translated, not swallowed
            return _reply_of(error)

    def read(self, batch: Sequence[Any]) -> tuple[Done | Raised | OutOfMemory, tuple[Any, ...]]:
        """Two replies: what became of a batch that this actor's reader has read, and what it has read."""
        started_s = time.monotonic()
        try:
            read = _as_many(self._worker.read(batch), batch)
        except Exception as error:  # the border: translated, not swallowed
            return _reply_of(error), ()
        sizes = tuple(one if isinstance(one, Rejection) else one.bytes for one in read)
        values = tuple(None if isinstance(one, Rejection) else one.value for one in read)
        return self._done(sizes, {DECODE: time.monotonic() - started_s}), values

    def process_read(
        self, items: Sequence[Any], places: Sequence[tuple[int, int]], *payloads: Sequence[Any]
    ) -> Done | Raised | OutOfMemory:
        """What became of items that readers have read; each one's place is a payload, and where it lies in it."""
        try:
            seen = [Seen(item, payloads[n][at]) for item, (n, at) in zip(items, places, strict=True)]
            return self._process(seen, MODEL)
        except Exception as error:  # the border: translated, not swallowed
            return _reply_of(error)

    def _process(self, batch: Sequence[Any], part: str) -> Done:
        started_s = time.monotonic()
        results = _as_many(self._worker.process(batch), batch)
        return self._done(results, {part: time.monotonic() - started_s})

    def _read_and_process(self, batch: Sequence[Any]) -> Done:
        started_s = time.monotonic()
        results: list[Any] = _as_many(self._reader.read(batch), batch)
        read_s = time.monotonic()
        seen = {n: Seen(batch[n], one.value) for n, one in enumerate(results) if not isinstance(one, Rejection)}
        if seen:
            made = _as_many(self._worker.process(list(seen.values())), seen)
            for n, result in zip(seen, made, strict=True):
                results[n] = result
        return self._done(tuple(results), {DECODE: read_s - started_s, MODEL: time.monotonic() - read_s})

    def _done(self, results: Sequence[Any], wall_s: Mapping[str, float]) -> Done:
        before, self._cpu_s = self._cpu_s, self._meter.read_s()
        return Done(tuple(results), max(0.0, self._cpu_s - before), wall_s)


class _MiscountError(ValueError):
    """A worker has lost or invented results."""


def _as_many(results: Sequence[Any], batch: Sequence[Any] | Mapping[int, Any]) -> list[Any]:
    results = list(results)
    if len(results) != len(batch):
        raise _MiscountError(f"{len(results)} results for a batch of {len(batch)} items")
    return results


def _reply_of(error: Exception) -> Raised | OutOfMemory:
    if isinstance(error, _MiscountError):
        return Raised(str(error), "", None)
    summary = f"{type(error).__name__}: {error}"
    # torch's own class is not imported here: this process may not need torch at all
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory(summary)
    return Raised(summary, traceback.format_exc(), error if isinstance(error, UniformError) else None)
