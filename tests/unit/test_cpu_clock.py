"""The CPU clock of the encode bench: what an ended process took stays counted."""

from __future__ import annotations

import subprocess
import sys
import time

from cpu_clock import CpuClock

BUSY = "import time\nwhile time.process_time() < .5: pass\nprint('done', flush=True)\ntime.sleep(60)"


def test_the_clock_does_not_go_back_when_a_process_ends_that_nobody_waits_for() -> None:
    """The busy one's parent takes no notice of its end, as Ray's raylet does: its seconds are nobody's afterwards."""
    parent = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {BUSY!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print("busy no more", flush=True)
sys.stdin.readline()
child.kill()
time.sleep(.3)
print("gone", flush=True)
sys.stdin.readline()
"""
    with CpuClock(every_s=60.0) as clock:
        before_s = clock.read_s()
        words = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", parent], **words) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == "busy no more\n"
            busy_s = clock.read_s()
            assert busy_s - before_s > 0.5
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "gone\n"
            assert clock.read_s() >= busy_s
            process.stdin.write("\n")
        assert clock.read_s() >= busy_s


def test_the_clock_looks_by_itself() -> None:
    with CpuClock(every_s=0.05) as clock:
        process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.5)
        process.kill()
        process.wait()
        assert sum(clock._seen.values()) > 0.5
        process.stdout.close()
