"""The driver's side of a pool of Ray actors: handing out, taking in, and what follows a death.

Each actor runs its calls in their order, so of what lies at a dead one the first call is suspected. A reply can die
with its process, so the suspicion may be wrong: a suspect runs again with nothing beside it, and only that counts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Literal

from tasks.pool_actor import Done, Home, OutOfMemory, PoolActor, Raised, Worker
from tasks.pool_member import Bench, Job, Member
from uniform_core.errors import Rejection, ServiceError, UniformError, WorkFailedError

STRIKES = 2  # deaths of an item alone until it is rejected: one may be somebody else's doing
SETUP_DEATHS = 3  # processes in a row that die while loading until the run stops
POLL_S = 0.5  # how late a limit may be noticed
NEW: Literal["new"] = "new"

OnResult = Callable[[Sequence[Any], Sequence[Any]], None]


@dataclass(frozen=True)
class PoolLimits:
    """How long things may take, and how much is handed out ahead.

    `batch_limit_s` is one limit for any batch, whole or halved; `queued` batches lie at each actor at a time, so that
    it need not wait for the driver's commits; an actor is replaced after `recycle_after` batches (libraries leak).
    """

    batch_limit_s: float = 600.0
    load_limit_s: float = 600.0
    queued: int = 2
    recycle_after: int | None = None
    drain_limit_s: float = 30.0


@dataclass(frozen=True)
class PoolSummary:
    """What a pool did. `deaths` are workers lost to crashes, memory and limits; `actors` all that were started."""

    items: int = 0
    rejected: int = 0
    batches: int = 0
    deaths: int = 0
    actors: int = 0
    cpu_s: float = 0.0

    def plus(self, done: Done) -> PoolSummary:
        """The summary with one more batch in it."""
        return replace(
            self,
            items=self.items + len(done.results),
            rejected=self.rejected + sum(isinstance(result, Rejection) for result in done.results),
            batches=self.batches + 1,
            cpu_s=self.cpu_s + done.cpu_s,
        )

    def joined(self, later: PoolSummary) -> PoolSummary:
        """The summary of two pools, one after the other."""
        return PoolSummary(*(a + b for a, b in zip(astuple(self), astuple(later), strict=True)))


class Pool:
    """The driver's side of a pool: who has what, who has died, what is tried again."""

    def __init__(
        self,
        worker: type[Worker],
        batches: Iterator[Sequence[Any]],
        *,
        size: int,
        setup: Mapping[str, Any],
        on_result: OnResult,
        on_tick: Callable[[], None],
        limits: PoolLimits,
        bench: Bench | None,
    ) -> None:
        import ray  # here: `uniform status` and stages with nothing to do never load it

        self._ray = ray
        self._worker, self._batches, self._size = worker, batches, size
        self._setup, self._limits, self._bench = dict(setup), limits, bench
        self._on_result, self._on_tick = on_result, on_tick
        self._actor_type = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(PoolActor)
        self._members: list[Member] = []
        self._suspects: deque[Job] = deque()
        self._returned: deque[Job] = deque()  # lay behind a batch that killed their worker
        self._loads_lost = 0
        self.summary = PoolSummary()

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Feed and collect until nothing is left."""
        self._feed()
        while any(member.jobs for member in self._members):
            self._collect_once()
            self._feed()
            self._on_tick()

    def drain(self) -> None:
        """Deliver what is in flight and can be had within the limit; start nothing new."""
        deadline = time.monotonic() + self._limits.drain_limit_s
        for member in [m for m in self._members if m.home is None]:
            self._end(member)
        while any(member.jobs for member in self._members) and time.monotonic() < deadline:
            self._collect_once()

    def close(self) -> None:
        """Bench the actors that are loaded and have nothing to do, and end the others."""
        if self._bench is not None:
            idle = [m for m in self._members if m.home and not m.calls and not m.is_retiring]
            self._members = [m for m in self._members if m not in idle]
            self._bench.idle += idle
        while self._members:
            self._end(self._members[0])

    def _collect_once(self) -> None:
        heads = {member.calls[0][0]: member for member in self._members if member.calls}
        ready, _ = self._ray.wait(list(heads), num_returns=1, timeout=POLL_S)
        for reference in ready:
            self._collect(heads[reference])
        for member in [m for m in self._members if m.calls]:
            self._check_limit(member)
        for member in [m for m in self._members if m.is_retiring and not m.calls]:
            self._end(member)

    # -- handing out ------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        while (member := self._member_with_room()) is not None:
            job = self._next_job()
            if job is None:
                return
            if member == NEW:
                self._start(job)
            else:
                self._submit(member, job)

    def _member_with_room(self) -> Member | Literal["new"] | None:
        """The emptiest actor that may take the next job, NEW where one may be started, None where all are full."""
        staying = [m for m in self._members if not m.is_retiring]
        active = [m for m in staying if m.home and not any(job.is_suspect for job in m.jobs)]
        emptiest = min(active, key=lambda m: len(m.jobs), default=None)
        if emptiest and not emptiest.jobs:
            return emptiest
        if len(staying) < self._size:
            return NEW
        # While suspects wait, queues run empty: each suspect gets an actor of its own.
        return emptiest if emptiest and not self._suspects and len(emptiest.jobs) < self._limits.queued else None

    def _next_job(self) -> Job | None:
        for waiting in (self._suspects, self._returned):
            if waiting:
                return waiting.popleft()
        for items in self._batches:
            if len(items):
                return Job(items)
        return None

    def _submit(self, member: Member, job: Job) -> None:
        if not member.calls:
            member.head_since = time.monotonic()
        member.calls.append((member.actor.process.remote(job.items), job))
        member.given += 1
        member.is_retiring = self._limits.recycle_after is not None and member.given >= self._limits.recycle_after

    def _start(self, job: Job) -> None:
        idle = self._bench.idle if self._bench else []
        is_new = not idle
        member = Member(self._actor_type.remote(), held=job) if is_new else replace(idle.pop(), held=job, home=None)
        member.head_since, member.is_new = time.monotonic(), is_new
        member.calls.append((member.actor.load.remote(self._worker, self._setup), None))
        self._members.append(member)
        self.summary = replace(self.summary, actors=self.summary.actors + is_new)

    # -- taking in --------------------------------------------------------------------------------------------------

    def _collect(self, member: Member) -> None:
        reference, job = member.calls[0]
        try:
            reply = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:  # not the worker's code: what it was given or gave back
            raise self._bad_code(Raised("values that Ray cannot carry", str(error), None), job) from error
        except self._ray.exceptions.RayError as error:
            self._bury(member, Rejection("crash", f"its worker died: {type(error).__name__}"))
            return
        if isinstance(reply, Raised):
            raise self._bad_code(reply, job)
        if isinstance(reply, OutOfMemory):
            self._bury(member, Rejection("out_of_memory", reply.summary))
            return
        member.calls.popleft()
        member.head_since = time.monotonic()
        if isinstance(reply, Home):
            member.home, self._loads_lost = reply, 0
            job, member.held = member.held, None
            if job is not None:
                self._submit(member, job)
        elif job is not None:
            self._deliver(job, reply)

    def _deliver(self, job: Job, done: Done) -> None:
        self.summary = self.summary.plus(done)
        self._on_result(job.items, done.results)

    def _check_limit(self, member: Member) -> None:
        job = member.calls[0][1]
        limit_s = self._limits.load_limit_s if job is None else self._limits.batch_limit_s
        if time.monotonic() - member.head_since > limit_s:
            self._bury(member, Rejection("timeout", f"expected an end within {limit_s:g} s; its worker was stuck"))

    # -- deaths -----------------------------------------------------------------------------------------------------

    def _bury(self, member: Member, reason: Rejection) -> None:
        """End a member that is dead or stuck, and put what lay at it back."""
        head = member.calls[0][1]
        for job in member.jobs:
            if job is not head:
                (self._suspects if job.is_suspect else self._returned).append(job)
        self._end(member)
        self.summary = replace(self.summary, deaths=self.summary.deaths + 1)
        if head is None:
            self._loads_lost += member.is_new
            if self._loads_lost >= SETUP_DEATHS:
                raise ServiceError(
                    f"worker {self._worker.__name__}",
                    expected="a process that loads",
                    found=f"{SETUP_DEATHS} in a row that did not ({reason.message})",
                    fix="See that there is memory for its model, then run again.",
                )
        elif len(head.items) > 1:
            middle = len(head.items) // 2
            self._suspects.extend(Job(part, is_suspect=True) for part in (head.items[:middle], head.items[middle:]))
        elif (strikes := head.strikes + head.is_suspect) < STRIKES:
            self._suspects.append(Job(head.items, strikes=strikes, is_suspect=True))
        else:
            message = f"{reason.message} ({STRIKES} workers lost to this item alone)"
            self._deliver(head, Done((replace(reason, message=message),), 0.0))

    def _end(self, member: Member) -> None:
        self._members.remove(member)
        member.end()

    def _bad_code(self, reply: Raised, job: Job | None) -> UniformError:
        doing = "while loading" if job is None else f"on a batch of {len(job.items)}"
        return bad_code(f"worker {self._worker.__name__} {doing}", reply)


def bad_code(item: str, reply: Raised | OutOfMemory) -> UniformError:
    """The error for an exception that left a worker's code: its own where it is one of ours."""
    own = reply.error if isinstance(reply, Raised) else None
    error = own or WorkFailedError(
        item,
        expected="one result or one Rejection for each item",
        found=reply.summary,
        fix="The program is at fault, not the data: its traceback stands below. What was committed stays.",
    )
    if isinstance(reply, Raised):
        error.add_note(reply.traceback)
    return error
