"""Who works in a pool, what lies at each, and what each needs of a machine: the driver's books."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psutil

from tasks.pool_actor import Home

ARRIVE: Literal["arrive"] = "arrive"  # the call that ends when the actor has a process
LOAD: Literal["load"] = "load"


@dataclass(frozen=True)
class Resources:
    """What one actor needs of the machine that it runs on, as Ray counts it; an autoscaling cluster grows by it.

    `gpus` may be a share: two actors of 0.5 are given one GPU together. `memory_bytes` None is not counted.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None

    def ray_options(self) -> dict[str, Any]:
        """The same as options of an actor."""
        memory = {} if self.memory_bytes is None else {"memory": self.memory_bytes}
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, **memory}

    def in_words(self) -> str:
        """For a person: '1 CPU, 0.5 GPU'."""
        parts = [f"{self.cpus:g} CPU"] + [f"{self.gpus:g} GPU"] * (self.gpus > 0)
        return ", ".join(parts + [f"{self.memory_bytes / 2**30:.1f} GiB" for _ in [1] if self.memory_bytes])


@dataclass(frozen=True)
class PoolSize:
    """How many actors a pool may have, and how many it keeps when they have nothing to do."""

    most: int
    least: int | None = None  # None: all of them stay

    def __post_init__(self) -> None:
        if self.most < 1 or not 0 <= self.kept <= self.most:
            raise ValueError(f"size of a pool must be at least 1, and no more kept than that, found {self}")

    @property
    def kept(self) -> int:
        return self.most if self.least is None else self.least


@dataclass(frozen=True)
class Job:
    """A batch, or the part of one that is left of it."""

    items: Sequence[Any]
    strikes: int = 0
    is_suspect: bool = False  # it may have cost a worker: it runs with nothing queued beside it


@dataclass(frozen=True)
class Call:
    """A call that lies at an actor: what Ray knows it by, what it is about, and where its second reply will be."""

    reference: Any
    about: Job | Literal["arrive", "load"]
    payload: Any = None

    @property
    def job(self) -> Job | None:
        return self.about if isinstance(self.about, Job) else None


@dataclass(eq=False)
class Member:
    """An actor, and what lies at it, in the order of execution: only the first call can be running.

    It arrives (`home` is known then), loads, and is given jobs once it `is_ready`.
    """

    actor: Any
    resources: Resources = field(default_factory=Resources)
    calls: deque[Call] = field(default_factory=deque)
    started_s: float = 0.0
    head_since: float = 0.0
    idle_since: float = 0.0
    home: Home | None = None
    is_ready: bool = False
    given: int = 0
    is_retiring: bool = False
    is_new: bool = True  # else from the bench, where it may have died

    def end(self) -> None:
        """The actor's process is gone, whatever it was doing."""
        import ray

        ray.kill(self.actor, no_restart=True)
        # Ray asks the process to end itself, which one that is stopped or swaps cannot do.
        if self.home and self.home.host == socket.gethostname() and self.home.pid != os.getpid():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(self.home.pid)
                if process.create_time() == self.home.created:
                    process.kill()

    @property
    def jobs(self) -> list[Job]:
        return [call.job for call in self.calls if call.job is not None]


@dataclass
class Bench:
    """Actors between two pools of one Ray. They keep what they have imported: a new process would pay for torch again.

    One that died here costs the next pool a failed load, and nothing else.
    """

    idle: list[Member] = field(default_factory=list)

    def take(self, resources: Resources) -> Member | None:
        """An actor that holds these resources, if one is idle."""
        found = next((member for member in self.idle if member.resources == resources), None)
        if found is not None:
            self.idle.remove(found)
        return found

    def clear(self, *, but: Sequence[Resources] = ()) -> None:
        """End the actors that hold other resources than these: they may be what a new actor waits for."""
        for member in [member for member in self.idle if member.resources not in but]:
            self.idle.remove(member)
            member.end()
