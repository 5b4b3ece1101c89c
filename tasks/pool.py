"""Batches through a pool of Ray actors: loaded once, streamed lazily, and no item can stop the rest.

A batch whose worker dies (crash, out of memory, stuck) is halved until single items are left. An item that costs two
workers when it is alone becomes a `Rejection`; every other item gets its result. An exception in a worker's code is
not about an item: it stops the run.

Work of two parts (`read_by`) has readers that decode on cores and workers that hold a model. With `readers` they are
processes of their own: what was read waits in Ray's object store, within a bound of bytes, until a batch of the
worker's size is full, whichever readers it came from. Without it each worker reads for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.pool_actor import Done, OutOfMemory, Part, PoolActor, Raised, Read, Reader, Ready, Seen, Worker
from tasks.pool_crew import Duty, bad_code
from tasks.pool_driver import OneCrew, OnResult, Pool, TwoCrews
from tasks.pool_handover import Handed, HandOver
from tasks.pool_limits import PoolLimits, PoolSummary
from tasks.pool_member import Bench, PoolSize, Resources
from tasks.pool_watch import Watch

__all__ = [
    "Bench",
    "OnResult",
    "Part",
    "PoolLimits",
    "PoolSize",
    "PoolSummary",
    "Read",
    "Reader",
    "Readers",
    "Resources",
    "Seen",
    "Watch",
    "Worker",
    "run_here",
    "run_pool",
]

DEFAULT_LIMITS = PoolLimits()
ONE_CORE = Resources()


@dataclass(frozen=True)
class Readers:
    """Processes that only read: how many, what each needs, and how much may lie between them and the workers.

    Each is given `chunk` items at a time, fewer than a batch of the worker, so that a batch is soon full.
    """

    size: PoolSize
    chunk: int
    handover_bytes: int
    resources: Resources = ONE_CORE
    limits: PoolLimits = DEFAULT_LIMITS


def _nothing() -> None:
    pass


def run_pool(
    worker: type[Worker],
    batches: Iterable[Sequence[Any]],
    *,
    size: int | PoolSize,
    setup: Mapping[str, Any],
    on_result: OnResult,
    on_tick: Callable[[], None] = _nothing,
    limits: PoolLimits = DEFAULT_LIMITS,
    bench: Bench | None = None,
    read_by: Part | None = None,
    readers: Readers | None = None,
    batch: int | None = None,
    resources: Resources = ONE_CORE,
    watch: Watch | None = None,
) -> PoolSummary:
    """What was done, after every item of every batch has been given to `on_result` exactly once.

    `on_result(items, results)` is called in this thread as batches end, in any order; each result is what the worker
    returned for the item, or a `Rejection`. `on_tick()` is called at least every second while nothing comes.
    `batches` is read only as far as actors have room. Ray must be running. With a `bench`, actors are taken from it
    first, and go to it at the end; without one they end with the pool. A pool smaller than its size works with what
    there is: an actor for which the cluster has no place yet holds nothing up. With `readers`, `batches` are theirs,
    and `batch` is the most that a worker is given at a time.
    An interrupt (Ctrl-C, Prefect's cancel) lets what is in flight finish, delivers it, and is raised again; a batch
    that it meets in the very moment of being handed out is not delivered, and stays to be done.
    Raises WorkFailedError, or the worker's own UniformError, for an exception in its code; ServiceError where its
    process dies while loading, or the cluster has no place for the first.
    """
    if readers is not None and (read_by is None or batch is None):
        raise ValueError("readers need to know by what they read, and for batches of what size: `read_by`, `batch`")
    duty = Duty(
        worker=Part(worker, setup),
        reader=None if readers else read_by,
        size=size if isinstance(size, PoolSize) else PoolSize(size),
        resources=resources,
        limits=limits,
        call=_call_on_read if readers else lambda actor, items: (actor.process.remote(items), None),
    )
    if bench is not None:
        bench.clear(but=[resources, readers.resources] if readers else [resources])
    common: dict[str, Any] = {"on_result": on_result, "on_tick": on_tick, "bench": bench, "watch": watch or Watch()}
    if readers is None or read_by is None or batch is None:
        return _through(OneCrew(duty, iter(batches), **common))
    reading = Duty(read_by, None, readers.size, readers.resources, readers.limits, _call_to_read)
    handover = HandOver(batch=batch, limit_bytes=readers.handover_bytes)
    return _through(TwoCrews(reading, duty, iter(batches), handover=handover, **common))


def _through(pool: Pool) -> PoolSummary:
    try:
        pool.run()
    except Exception:
        raise
    except BaseException:  # KeyboardInterrupt, SystemExit, Prefect's TerminationSignal
        pool.drain()
        raise
    finally:
        pool.close()
    return pool.summary


def _call_to_read(actor: Any, items: Sequence[Any]) -> tuple[Any, Any]:
    reply, payload = actor.read.options(num_returns=2).remote(items)
    return reply, payload


def _call_on_read(actor: Any, items: Sequence[Handed]) -> tuple[Any, Any]:
    """The objects are arguments, which Ray brings to the actor's machine; the driver never holds what is in them."""
    payloads = list(dict.fromkeys(handed.payload for handed in items))
    numbers = {payload: n for n, payload in enumerate(payloads)}
    places = [(numbers[handed.payload], handed.at) for handed in items]
    return actor.process_read.remote([handed.item for handed in items], places, *payloads), None


def run_here(
    worker: type[Worker],
    batches: Iterable[Sequence[Any]],
    *,
    setup: Mapping[str, Any],
    on_result: OnResult,
    on_tick: Callable[[], None] = _nothing,
    read_by: Part | None = None,
) -> PoolSummary:
    """The same without Ray, in this process: for work that cannot crash and costs less than an actor's start.

    Raises as `run_pool` does.
    """
    actor, name = PoolActor(), worker.__name__
    summary = PoolSummary(actors=1)
    try:
        _require(actor.load(worker, setup, read_by), f"worker {name} while loading")
        for items in batches:
            done = _require(actor.process(items), f"worker {name} on a batch of {len(items)}")
            assert isinstance(done, Done)
            summary = summary.plus(done)
            on_result(items, done.results)
            on_tick()
    finally:
        actor.let_go()
    return replace(summary, cpu_s=0.0)  # the driver's own


def _require(reply: Ready | Done | Raised | OutOfMemory, item: str) -> Ready | Done:
    if isinstance(reply, Raised | OutOfMemory):
        raise bad_code(item, reply)
    return reply
