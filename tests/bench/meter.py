"""Time, memory and the rate of products of a device.

On a CPU, where other work may run beside, time is that of the process on one thread; on a GPU it is the clock's.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

PRODUCT = {"cuda": 8192, "cpu": 1024}  # side of the square matrices whose product is the measured peak


@dataclass(frozen=True)
class Measured:
    """The least of some runs' seconds, and the peak of memory during them; None where it cannot be told."""

    seconds: float
    peak_bytes: int | None


class Meter:
    """What measures on one device."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.is_cuda = self.device.type == "cuda"
        self.clock = "wall" if self.is_cuda else "CPU"
        self._can_tell_peak = self.is_cuda
        if not self.is_cuda:
            torch.set_num_threads(1)

    @property
    def name(self) -> str:
        """What the device is called."""
        if self.is_cuda:
            return torch.cuda.get_device_name(self.device)
        lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        return f"{models[0] if models else 'a CPU'}, one thread"

    def measure(self, work: Callable[[], Any], *, runs: int, warm_up: int = 1) -> Measured:
        """Some runs of the same work, after others that compile and fill caches."""
        for _ in range(warm_up):
            work()
        self._forget_peak()
        seconds = [self._seconds(work) for _ in range(runs)]
        return Measured(min(seconds), self._peak_bytes())

    def products_flops(self, dtype: torch.dtype) -> float:
        """FLOPs a second of a large product of matrices: what a model's own are compared with."""
        side = PRODUCT[self.device.type]
        left, right = (torch.randn(side, side, device=self.device, dtype=torch.float32).to(dtype) for _ in range(2))
        return 2 * side**3 / self.measure(lambda: left @ right, runs=10, warm_up=3).seconds

    def _seconds(self, work: Callable[[], Any]) -> float:
        self._wait()
        now = time.perf_counter if self.is_cuda else time.process_time
        started = now()
        work()
        self._wait()
        return now() - started

    def _wait(self) -> None:
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def _forget_peak(self) -> None:
        """The peak begins anew, at what is held now. (Linux does so for a process that writes 5 to its clear_refs.)"""
        gc.collect()
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            self._can_tell_peak = True

    def _peak_bytes(self) -> int | None:
        if self.is_cuda:
            return int(torch.cuda.max_memory_allocated(self.device))
        if not self._can_tell_peak:
            return None
        lines = Path("/proc/self/status").read_text().splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
