"""How fast a run of the fetcher goes once its workers are up, and what it spends on a clip.

A run of weeks has no start worth the name, one of a minute on two cores is half start: eight workers and their
decoders import for seconds. So what is measured begins when every worker has its decoder at work, and as many clips
more have come; it ends when the first of them finds nothing more to do. The start is told apart, and what looking
costs is nobody's.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from standin_host import Asked, Reply, StandinHost

DECODERS, OTHERS = "decoders", "ray"
PARTS = {"uniform_core.media.worker": DECODERS, "ray::PoolActor": "workers", "ray::GateActor": "gate"}
LOOK_S = 0.5


class ThrottledHost(StandinHost):
    """Begins so many answers a second, one after the other; None: at once."""

    def __init__(self, per_s: float | None) -> None:
        super().__init__()
        self._gap_s, self._next_s = 0.0 if per_s is None else 1.0 / per_s, 0.0

    def next_reply(self, asked: Asked) -> Reply:
        with self.lock:
            turn_s = max(time.monotonic(), self._next_s)
            self._next_s = turn_s + self._gap_s
        time.sleep(max(0.0, turn_s - time.monotonic()))
        return super().next_reply(asked)


def _serve(connection: Connection, video: Path, per_s: float | None) -> None:
    host, data = ThrottledHost(per_s), video.read_bytes()
    host.otherwise = lambda _path: Reply(data)
    threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    connection.send(host.url(""))
    connection.recv()


@contextmanager
def serving(video: Path, *, per_s: float | None) -> Iterator[tuple[str, int]]:
    """The address of a host that has the video under every name, in a process of its own, and its pid."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, video, per_s))
    process.start()
    try:
        yield ours.recv(), process.pid or 0
    finally:
        ours.send(None)
        process.join()


@dataclass(frozen=True)
class Look:
    """What is there at a moment: files placed, CPU seconds of our processes until then by part, decoders at work."""

    at_s: float
    files: int
    cpu_s: Mapping[str, float]
    decoders: int


@dataclass(frozen=True)
class Steady:
    """A run once its workers were up: clips a second, CPU seconds a clip by part, of how many; and the start's time.

    Parts are the decoders, the workers that they belong to, the gate, the driver, and the rest of Ray.
    """

    per_s: float
    parts_s: Mapping[str, float]
    clips: int
    start_s: float

    @property
    def cpu_s(self) -> float:
        return sum(self.parts_s.values())


class Watch:
    """Looks at a run of this process now and then: at the files in `folder`, and at the processes that it has started.

    The process `host` is not one of ours.
    """

    def __init__(self, folder: Path, *, host: int) -> None:
        self._folder, self._host = folder, host
        self._me, self._spent, self._parts = psutil.Process(), dict[int, float](), dict[int, str]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.looks: list[Look] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_given: object) -> None:
        self._ended.set()
        self._thread.join()

    def steady(self, *, workers: int, clips: int) -> Steady:
        """The run between all workers' start and the first one's end. Raises ValueError where it was too short."""
        up = next((look.files for look in self.looks if look.decoders >= workers), clips)
        during = [look for look in self.looks if up + workers <= look.files <= clips - workers]
        if len(during) < 2 or during[-1].files - during[0].files < workers:
            raise ValueError(f"{clips} clips are too few for {workers} workers here: they were not up together")
        first, last = during[0], during[-1]
        done = last.files - first.files
        return Steady(
            per_s=done / (last.at_s - first.at_s),
            parts_s={part: (spent_s - first.cpu_s.get(part, 0.0)) / done for part, spent_s in last.cpu_s.items()},
            clips=done,
            start_s=first.at_s - self.looks[0].at_s,
        )

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            for process in [self._me, *self._me.children(recursive=True)]:
                try:
                    times = process.cpu_times()
                    if self._parts.get(process.pid, OTHERS) == OTHERS:  # Ray names an actor's process after its start
                        self._parts[process.pid] = self._part_of(process)
                except psutil.Error:
                    continue  # it has ended, and has spent what it had when it was last seen
                if process.pid != self._host:
                    self._spent[process.pid] = times.user + times.system
            files = sum(1 for _ in self._folder.iterdir()) if self._folder.exists() else 0
            decoders = sum(part == DECODERS for part in self._parts.values())
            self.looks.append(Look(time.monotonic(), files, self._spent_by_part(), decoders))

    def _spent_by_part(self) -> dict[str, float]:
        spent = dict.fromkeys(sorted({*self._parts.values()}), 0.0)
        for pid, spent_s in self._spent.items():
            spent[self._parts[pid]] += spent_s - (time.thread_time() if pid == self._me.pid else 0.0)
        return spent

    def _part_of(self, process: psutil.Process) -> str:
        if process.pid == self._me.pid:
            return "driver"
        words = " ".join(process.cmdline())
        return next((part for word, part in PARTS.items() if word in words), OTHERS)
