"""One kind of actors of a pool, from the driver's side: handing out, taking in, growing, and what follows a death.

Each actor runs its calls in their order, so of what lies at a dead one the first call is suspected. A reply can die
with its process, so the suspicion may be wrong: a suspect runs again with nothing beside it, and only that counts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.pool_actor import Done, Home, OutOfMemory, Part, PoolActor, Raised, Ready
from tasks.pool_limits import PoolLimits, PoolSummary
from tasks.pool_member import ARRIVE, LOAD, Bench, Call, Job, Member, PoolSize, Resources
from uniform_core.errors import Rejection, ServiceError, UniformError, WorkFailedError

STRIKES = 2  # deaths of an item alone until it is rejected: one may be somebody else's doing
EXPECTED_S = 30.0  # so long an actor that was asked for is expected to be ready soon
SETUP_DEATHS = 3  # processes in a row that die while loading until the run stops

Deliver = Callable[[Job, Done, Any], None]  # a job, its reply, and what lies beside the reply


@dataclass(frozen=True)
class Duty:
    """What the actors of a crew do: what they load, how a batch is put to them, and how many there may be."""

    worker: Part
    reader: Part | None  # in the same process, before the worker
    size: PoolSize
    resources: Resources
    limits: PoolLimits
    call: Callable[[Any, Sequence[Any]], tuple[Any, Any]]  # an actor and items: the reply's and the payload's reference

    @property
    def name(self) -> str:
        return self.worker.kind.__name__


class Crew:
    """Actors of one duty. `source` gives the next batch, or None where there is none now."""

    def __init__(
        self, duty: Duty, source: Callable[[], Sequence[Any] | None], deliver: Deliver, *, bench: Bench | None
    ) -> None:
        import ray  # here: `uniform status` and stages with nothing to do never load it

        self._ray = ray
        self._duty, self._limits, self._source, self._deliver, self._bench = duty, duty.limits, source, deliver, bench
        options = {**duty.resources.ray_options(), "max_restarts": 0, "max_task_retries": 0}
        self._actor_type = ray.remote(**options)(PoolActor)
        self._members: list[Member] = []
        self._suspects: deque[Job] = deque()
        self._waiting: deque[Job] = deque()  # came from the source, or lay behind a batch that killed their worker
        self._loads_lost = 0
        self.summary = PoolSummary()

    # -- what is going on -------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> list[Job]:
        """Every batch that came from the source and has no result yet."""
        return [*self._suspects, *self._waiting, *(job for member in self._members for job in member.jobs)]

    @property
    def heads(self) -> list[Any]:
        """The references of the calls that can be running."""
        return [member.calls[0].reference for member in self._members if member.calls]

    @property
    def load(self) -> tuple[int, int]:
        """How many actors have something to do, and how many are ready."""
        ready = [member for member in self._members if member.is_ready]
        return sum(bool(member.calls) for member in ready), len(ready)

    # -- handing out ------------------------------------------------------------------------------------------------

    def feed(self) -> None:
        """Give idle actors work, ask for further actors where work waits for one, and fill the queues of busy ones.

        What waits for an actor that will soon be ready is left to it.
        """
        now = time.monotonic()
        expected = sum(not member.is_ready and now - member.started_s < EXPECTED_S for member in self._members)
        for member in self._free(below=1):
            if not self._has_waiting(expected + 1):
                break
            self._submit(member, (self._suspects or self._waiting).popleft())
        starting = sum(not member.is_ready for member in self._members)
        while self._staying < self._duty.size.most and self._has_waiting(starting + 1):
            self._start()
            starting, expected = starting + 1, expected + 1
        # While suspects wait, queues run empty: each suspect gets an actor of its own.
        while not self._suspects and (free := self._free(below=self._limits.queued)):
            if not self._has_waiting(expected + 1):
                break
            self._submit(free[0], self._waiting.popleft())

    @property
    def _staying(self) -> int:
        return sum(not member.is_retiring for member in self._members)

    def _free(self, *, below: int) -> list[Member]:
        """Ready actors with fewer jobs than this, the emptiest first."""
        able = [m for m in self._members if m.is_ready and not m.is_retiring and len(m.jobs) < below]
        return sorted((m for m in able if not any(job.is_suspect for job in m.jobs)), key=lambda m: len(m.jobs))

    def _has_waiting(self, count: int) -> bool:
        """Whether so many jobs wait, after the source was asked for what lacks."""
        while len(self._suspects) + len(self._waiting) < count:
            items = self._source()
            if items is None:
                return False
            if len(items):
                self._waiting.append(Job(items))
        return True

    def _submit(self, member: Member, job: Job) -> None:
        reference, payload = self._duty.call(member.actor, job.items)
        self._call(member, Call(reference, job, payload))
        member.given += 1
        member.is_retiring = self._limits.recycle_after is not None and member.given >= self._limits.recycle_after

    def _call(self, member: Member, call: Call) -> None:
        if not member.calls:
            member.head_since = time.monotonic()
        member.calls.append(call)

    def _start(self) -> None:
        idle = self._bench.take(self._duty.resources) if self._bench else None
        member = replace(idle, is_new=False) if idle else Member(self._actor_type.remote(), self._duty.resources)
        member.started_s = time.monotonic()
        if member.is_new:
            self._call(member, Call(member.actor.arrive.remote(), ARRIVE))
        worker = self._duty.worker
        self._call(member, Call(member.actor.load.remote(worker.kind, worker.setup, self._duty.reader), LOAD))
        self._members.append(member)
        self.summary = replace(self.summary, actors=self.summary.actors + member.is_new)

    # -- taking in --------------------------------------------------------------------------------------------------

    def collect(self, reference: Any) -> bool:
        """Take in the reply of a call that has ended; False where it is none of this crew's."""
        member = next((m for m in self._members if m.calls and m.calls[0].reference == reference), None)
        if member is not None:
            self._collect(member)
        return member is not None

    def tend(self) -> None:
        """See to what has taken too long, to actors whose time is over, and to those that have long been idle."""
        now = time.monotonic()
        for member in [m for m in self._members if m.calls]:
            self._check_limit(member, now)
        for member in [m for m in self._members if m.is_retiring and not m.calls]:
            self._end(member)
        # What waits for a place is asked for no longer when the work for it has gone.
        spare = [m for m in self._members if not m.calls or (m.home is None and not self._waiting)]
        for member in spare[: max(0, len(self._members) - self._duty.size.kept)]:
            if now - max(member.idle_since, member.head_since) > self._limits.idle_s:
                self._end(member)

    def _collect(self, member: Member) -> None:
        call = member.calls[0]
        try:
            reply = self._ray.get(call.reference)
        except self._ray.exceptions.RayError as error:
            self._failed(member, call, error)
            return
        if isinstance(reply, Raised):
            raise self._bad_code(reply, call.job)
        if isinstance(reply, OutOfMemory):
            self._bury(member, Rejection("out_of_memory", reply.summary))
            return
        self._move_on(member)
        if isinstance(reply, Home):
            member.home = reply
        elif isinstance(reply, Ready):
            member.is_ready, self._loads_lost = True, 0
        elif call.job is not None:
            self.summary = self.summary.plus(reply)
            self._deliver(call.job, reply, call.payload)

    def _failed(self, member: Member, call: Call, error: Any) -> None:
        """Ray has no reply: what the call was given is lost, cannot travel, or its process has died."""
        lost = self._ray.exceptions.ObjectLostError
        is_lost = isinstance(error, lost) or isinstance(getattr(error, "cause", None), lost)
        if call.job is not None and is_lost:
            self._move_on(member)
            self._deliver(call.job, Done(tuple(LOST for _ in call.job.items), 0.0), None)
        elif isinstance(error, self._ray.exceptions.RayTaskError):  # not of the worker's code
            raise self._bad_code(Raised("values that Ray cannot carry", str(error), None), call.job) from error
        else:
            self._bury(member, Rejection("crash", f"its worker died: {type(error).__name__}"))

    def _move_on(self, member: Member) -> None:
        member.calls.popleft()
        member.head_since = member.idle_since = time.monotonic()

    def _check_limit(self, member: Member, now: float) -> None:
        about, limits = member.calls[0].about, self._limits
        limit_s = limits.arrival_limit_s if about == ARRIVE else limits.load_limit_s
        limit_s = limits.batch_limit_s if isinstance(about, Job) else limit_s
        if now - member.head_since <= limit_s:
            return
        if about != ARRIVE:
            self._bury(member, Rejection("timeout", f"expected an end within {limit_s:g} s; its worker was stuck"))
        elif not any(m.home for m in self._members):  # else: the cluster is full, and there are workers
            raise ServiceError(
                f"worker {self._duty.name}",
                expected=f"a place in Ray with {self._duty.resources.in_words()} within {limit_s:g} s",
                found=f"none; free are {self._ray.available_resources()}",
                fix="End what holds them, or ask for less (UNIFORM_GPU_SHARE, UNIFORM_WORKER_MEMORY_GIB).",
            )

    # -- deaths -----------------------------------------------------------------------------------------------------

    def _bury(self, member: Member, reason: Rejection) -> None:
        """End a member that is dead or stuck, and put what lay at it back."""
        head = member.calls[0].job
        for job in member.jobs:
            if job is not head:
                (self._suspects if job.is_suspect else self._waiting).append(job)
        self._end(member)
        self.summary = replace(self.summary, deaths=self.summary.deaths + 1)
        if head is None:
            self._loads_lost += member.is_new
            if self._loads_lost >= SETUP_DEATHS:
                raise ServiceError(
                    f"worker {self._duty.name}",
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
            done = Done((replace(reason, message=message),), 0.0)
            self.summary = self.summary.plus(done)
            self._deliver(head, done, None)

    def _end(self, member: Member) -> None:
        self._members.remove(member)
        member.end()

    def _bad_code(self, reply: Raised, job: Job | None) -> UniformError:
        doing = "while loading" if job is None else f"on a batch of {len(job.items)}"
        return bad_code(f"worker {self._duty.name} {doing}", reply)

    # -- the end ----------------------------------------------------------------------------------------------------

    def stop_starting(self) -> None:
        """End the actors that have no job yet, and give nothing further out."""
        self._suspects.clear()
        self._waiting.clear()
        for member in [m for m in self._members if not m.is_ready]:
            self._end(member)

    def close(self) -> None:
        """Bench the actors that are loaded and have nothing to do, and end the others; a GPU is let go at once."""
        if self._bench is not None and not self._duty.resources.gpus:
            idle = [m for m in self._members if m.is_ready and not m.calls and not m.is_retiring]
            self._members = [m for m in self._members if m not in idle]
            self._bench.idle += [replace(member, is_ready=False) for member in idle]
        while self._members:
            self._end(self._members[0])


LOST = Rejection("lost", "what was read of it was lost with a machine", terminal=False)


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
