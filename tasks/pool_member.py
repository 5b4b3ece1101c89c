"""Who works in a pool, and what lies at each: the driver's books."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from tasks.pool_actor import Home


@dataclass(frozen=True)
class Job:
    """A batch, or the part of one that is left of it."""

    items: Sequence[Any]
    strikes: int = 0
    is_suspect: bool = False  # it may have cost a worker: it runs with nothing queued beside it


@dataclass(eq=False)
class Member:
    """An actor, and what lies at it, in the order of execution: only the first call can be running.

    While `home` is None it is loading: that is its one call, and `held` is the job that it will be given then.
    """

    actor: Any
    held: Job | None
    calls: deque[tuple[Any, Job | None]] = field(default_factory=deque)  # (reference, job)
    head_since: float = 0.0
    home: Home | None = None
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
        lying = [job for _, job in self.calls if job is not None]
        return [*lying, self.held] if self.held else lying


@dataclass
class Bench:
    """Actors between two pools of one Ray. They keep what they have imported: a new process would pay for torch again.

    One that died here costs the next pool a failed load, and nothing else.
    """

    idle: list[Member] = field(default_factory=list)
