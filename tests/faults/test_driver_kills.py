"""Whole drivers: a Ray worker, a training worker and the driver are killed, and the end is that of an undisturbed run.

What must be equal to the bit: every latent, the trained weights, every clip that the model made.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import processes_of, short_home, start_uniform, uniform

OUTPUTS = (
    "SELECT work_key || tensor_sha256 AS output FROM latents",
    "SELECT work_key || weights_sha256 AS output FROM models WHERE kind = 'uniform'",
    "SELECT work_key || file_sha256 AS output FROM generations",
)
WORDS = ("run", "--preset", "nano", "--json")


def outputs(home: Path) -> set[str]:
    """What a finished home holds, without anything that depends on when or by whom it was made."""
    return {row["output"] for sql in OUTPUTS for row in uniform("query", sql, "--json", "--limit", "0", home=home).json}


def descendants(driver: int, words: str) -> list[psutil.Process]:
    """The driver's living descendants whose title has these words (Ray names its workers by what they run)."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(driver).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if words in " ".join(process.cmdline()):
                    found.append(process)
    return found


def wait_for(condition: Callable[[], Any], *, driver: Any, limit_s: float) -> Any:
    """The first true value of a condition; None where the driver ended before."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        if driver.poll() is not None:
            return None
        time.sleep(0.05)
    raise TimeoutError("nothing to kill appeared")


def finished(home: Path, log: Path) -> None:
    """Run until the end, whatever was killed before."""
    done = uniform(*WORDS, home=home, timeout_s=560)
    assert done.code == 0, log.read_text(errors="replace")[-3000:] + done.err[-3000:]


@pytest.mark.timeout(900)
def test_a_ray_worker_a_training_worker_and_the_driver_are_killed_once_each(
    nano_run: tuple[Path, Any], tmp_path: Path
) -> None:
    home, log = short_home("kill"), tmp_path / "log"
    driver = start_uniform(*WORDS, home=home, log=log)
    try:
        worker = wait_for(lambda: descendants(driver.pid, "ray::PoolActor"), driver=driver, limit_s=180)
        assert worker, log.read_text(errors="replace")[-3000:]
        worker[0].kill()
        trainer = wait_for(lambda: descendants(driver.pid, "ray::RayTrainWorker"), driver=driver, limit_s=280)
        assert trainer, log.read_text(errors="replace")[-3000:]
        trainer[-1].kill()
        wait_for(lambda: list(home.glob("checkpoints/*/steps/*")), driver=driver, limit_s=280)
        assert driver.poll() is None, log.read_text(errors="replace")[-3000:]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    deadline = time.monotonic() + 60
    while processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert processes_of(home) == [], "something outlived the driver"
    finished(home, log)
    assert outputs(home) == outputs(nano_run[0])


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_forty_kills_at_random_moments(nano_run: tuple[Path, Any], tmp_path: Path) -> None:
    chance = random.Random(20261122)
    home, log = short_home("kills"), tmp_path / "log"
    for _ in range(40):
        driver = start_uniform(*WORDS, home=home, log=log)
        with contextlib.suppress(Exception):
            driver.wait(timeout=chance.uniform(5.0, 60.0))
        victims = [*descendants(driver.pid, "ray::"), psutil.Process(driver.pid)] if driver.poll() is None else []
        for victim in chance.sample(victims, min(1, len(victims))):
            victim.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    finished(home, log)
    assert outputs(home) == outputs(nano_run[0])
    assert uniform("catalog", "verify", "--json", home=home).json == []
