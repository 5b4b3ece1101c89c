"""How long things may take in a pool, and what a pool has done."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

from tasks.pool_actor import DECODE, MODEL, WORK, Done
from uniform_core.errors import Rejection


@dataclass(frozen=True)
class PoolLimits:
    """How long things may take, and how much is handed out ahead.

    `batch_limit_s` is one limit for any batch, whole or halved; `queued` batches lie at each actor at a time, so that
    it need not wait for the driver's commits; an actor is replaced after `recycle_after` batches (libraries leak).
    `arrival_limit_s` is how long a pool waits for the place of its first actor, `idle_s` how long one that is above
    the size which the pool keeps may have nothing to do.
    """

    batch_limit_s: float = 600.0
    load_limit_s: float = 600.0
    arrival_limit_s: float = 1800.0
    queued: int = 2
    recycle_after: int | None = None
    drain_limit_s: float = 30.0
    idle_s: float = 60.0


@dataclass(frozen=True)
class PoolSummary:
    """What a pool did. `deaths` are workers lost to crashes, memory and limits; `actors` all that were started.

    `decode_s` and `model_s` are the wall seconds that its actors have spent in either part; work of one part is the
    second.
    """

    items: int = 0
    rejected: int = 0
    batches: int = 0
    deaths: int = 0
    actors: int = 0
    cpu_s: float = 0.0
    decode_s: float = 0.0
    model_s: float = 0.0

    def plus(self, done: Done) -> PoolSummary:
        """The summary with one more batch in it."""
        return replace(
            self,
            items=self.items + len(done.results),
            rejected=self.rejected + sum(isinstance(result, Rejection) for result in done.results),
            batches=self.batches + 1,
            cpu_s=self.cpu_s + done.cpu_s,
            decode_s=self.decode_s + done.wall_s.get(DECODE, 0.0),
            model_s=self.model_s + done.wall_s.get(MODEL, 0.0) + done.wall_s.get(WORK, 0.0),
        )

    def joined(self, later: PoolSummary) -> PoolSummary:
        """The summary of two pools, one after the other."""
        return PoolSummary(*(a + b for a, b in zip(astuple(self), astuple(later), strict=True)))

    def behind(self, readers: PoolSummary) -> PoolSummary:
        """The summary of both crews of a pool, where this one works on what the readers have read."""
        both = readers.joined(self)
        return replace(both, items=self.items + readers.rejected, batches=self.batches)
