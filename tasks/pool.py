"""Batches through a pool of Ray actors: loaded once, streamed lazily, and no item can stop the rest.

A batch whose worker dies (crash, out of memory, stuck) is halved until single items are left. An item that costs two
workers when it is alone becomes a `Rejection`; every other item gets its result. An exception in a worker's code is
not about an item: it stops the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.pool_actor import Done, Home, OutOfMemory, PoolActor, Raised, Worker
from tasks.pool_driver import OnResult, Pool, PoolLimits, PoolSummary, bad_code
from tasks.pool_member import Bench

__all__ = ["Bench", "OnResult", "PoolLimits", "PoolSummary", "Worker", "run_here", "run_pool"]


DEFAULT_LIMITS = PoolLimits()


def _nothing() -> None:
    pass


def run_pool(
    worker: type[Worker],
    batches: Iterable[Sequence[Any]],
    *,
    size: int,
    setup: Mapping[str, Any],
    on_result: OnResult,
    on_tick: Callable[[], None] = _nothing,
    limits: PoolLimits = DEFAULT_LIMITS,
    bench: Bench | None = None,
) -> PoolSummary:
    """What was done, after every item of every batch has been given to `on_result` exactly once.

    `on_result(items, results)` is called in this thread as batches end, in any order; each result is what the worker
    returned for the item, or a `Rejection`. `on_tick()` is called at least every second while nothing comes.
    `batches` is read only as far as actors have room. Ray must be running. With a `bench`, actors are taken from it
    first, and go to it at the end; without one they end with the pool.
    An interrupt (Ctrl-C, Prefect's cancel) lets what is in flight finish, delivers it, and is raised again; a batch
    that it meets in the very moment of being handed out is not delivered, and stays to be done.
    Raises WorkFailedError, or the worker's own UniformError, for an exception in its code; ServiceError where its
    process dies while loading.
    """
    if size < 1:
        raise ValueError(f"size of a pool must be at least 1, found {size}")
    pool = Pool(
        worker,
        iter(batches),
        size=size,
        setup=setup,
        on_result=on_result,
        on_tick=on_tick,
        limits=limits,
        bench=bench,
    )
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


def run_here(
    worker: type[Worker],
    batches: Iterable[Sequence[Any]],
    *,
    setup: Mapping[str, Any],
    on_result: OnResult,
    on_tick: Callable[[], None] = _nothing,
) -> PoolSummary:
    """The same without Ray, in this process: for work that cannot crash and costs less than an actor's start.

    Raises as `run_pool` does.
    """
    actor, name = PoolActor(), worker.__name__
    _require(actor.load(worker, setup), f"worker {name} while loading")
    summary = PoolSummary(actors=1)
    for items in batches:
        done = _require(actor.process(items), f"worker {name} on a batch of {len(items)}")
        assert isinstance(done, Done)
        summary = summary.plus(done)
        on_result(items, done.results)
        on_tick()
    return replace(summary, cpu_s=0.0)  # the driver's own


def _require(reply: Home | Done | Raised | OutOfMemory, item: str) -> Home | Done:
    if isinstance(reply, Raised | OutOfMemory):
        raise bad_code(item, reply)
    return reply
