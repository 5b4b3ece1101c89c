"""CPU seconds of a process and its children: all that is spent is counted, and the machine is rarely searched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil
import pytest

from tasks import cpu
from tasks.cpu import CpuMeter

Start = Callable[[float], subprocess.Popen[bytes]]
BUSY = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """What starts a process that has been busy for so long, and then waits for its end.

    Only these are children: other tests of the session may have left it a Ray that never rests.
    """
    own: set[int] = set()
    every = psutil.Process.children

    def started_here(self: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
        return [one for one in every(self, recursive=recursive) if one.pid in own]

    monkeypatch.setattr(psutil.Process, "children", started_here)
    with ExitStack() as stack:

        def start(seconds: float) -> subprocess.Popen[bytes]:
            words = [sys.executable, "-S", "-c", BUSY.format(seconds=seconds) + "print(flush=True)\ninput()"]
            started = stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            stack.callback(started.kill)
            own.add(started.pid)
            assert started.stdout is not None
            started.stdout.readline()
            return started

        yield start


def test_what_children_spend_is_counted_once_while_they_live_and_when_they_have_ended(child: Start) -> None:
    meter = CpuMeter()
    before = meter.read_s()
    first = child(0.3)
    living = meter.read_s()
    assert 0.25 <= living - before < 0.9, "give or take the kernel's ticks"
    first.communicate(b"\n")
    ended = meter.read_s()
    assert living - 0.05 <= ended < living + 0.4, "it is now one of those that have ended"
    second = child(0.3)
    assert meter.read_s() - ended >= 0.25, "one that came after it is found"
    second.communicate(b"\n")


def test_children_are_looked_for_now_and_then_and_when_one_is_gone(
    child: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    children = psutil.Process.children

    def noted(self: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
        looks.append(1)
        return children(self, recursive=recursive)

    monkeypatch.setattr(psutil.Process, "children", noted)
    meter, one = CpuMeter(), child(0.0)
    before = meter.read_s()
    other = child(0.3)
    assert (meter.read_s() - before < 0.25, len(looks)) == (True, 1)
    monkeypatch.setattr(cpu, "LOOK_S", 0.0)
    assert (meter.read_s() - before >= 0.25, len(looks)) == (True, 2), "with all that it took until then"
    monkeypatch.setattr(cpu, "LOOK_S", 1e9)
    one.communicate(b"\n")
    meter.read_s()
    assert len(looks) == 3
    other.communicate(b"\n")
