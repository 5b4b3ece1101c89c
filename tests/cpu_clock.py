"""CPU seconds of a tree of processes whose members come and go."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Self

import psutil


class CpuClock:
    """CPU seconds of this process and of every one below it, those that have ended too.

    What an ended process took is not always its parent's: Ray lets its workers go without waiting for them, and a sum
    over who lives would go back with each of them. So each process is looked at now and then, and what was seen last of
    it stays: of one that ends, the part since the last look is lost, and the clock never goes back.
    """

    def __init__(self, *, every_s: float = 0.5) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._every_s, self._ended, self._lock = every_s, threading.Event(), threading.Lock()
        self._looks = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._looks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._looks.join()

    def read_s(self) -> float:
        """CPU seconds until now."""
        with self._lock:
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                with suppress(psutil.Error):
                    took, key = process.cpu_times(), (process.pid, process.create_time())
                    self._seen[key] = max(self._seen.get(key, 0.0), took.user + took.system)
            return sum(self._seen.values())

    def _look_on(self) -> None:
        while not self._ended.wait(self._every_s):
            self.read_s()
