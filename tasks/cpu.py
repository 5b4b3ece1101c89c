"""CPU seconds of a process with its children, read often."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Final

import psutil

LOOK_S: Final = 10.0
"""How often children are looked for while some are known: to find them, every process of the machine is read."""


class CpuMeter:
    """What this process and its children, finished and living, have taken since they started.

    A child that starts beside others is counted from the next look on, with all that it took until then.
    """

    def __init__(self) -> None:
        self._children: list[psutil.Process] = []
        self._looked_s = float("-inf")

    def read_s(self) -> float:
        """CPU seconds until now."""
        are_known = self._children and all(child.is_running() for child in self._children)
        if not are_known or time.monotonic() - self._looked_s >= LOOK_S:
            self._looked_s = time.monotonic()
            self._children = psutil.Process().children(recursive=True)
        own = os.times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in self._children:
            with suppress(psutil.Error):  # it has ended since, and is counted with the finished ones
                times = child.cpu_times()
                total += times.user + times.system
        return total
