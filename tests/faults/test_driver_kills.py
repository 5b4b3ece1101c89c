"""Whole drivers: a Ray worker, a training worker and the driver are killed, and the end is that of an undisturbed run.

What must be equal to the bit: every latent, the trained weights, every clip that the model made.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import processes_of, short_home, start_uniform, uniform
from services import seed_prefect, seed_tracking

from uniform_core.catalog import Catalog
from uniform_core.settings import Settings

OUTPUTS = (
    "SELECT work_key || tensor_sha256 AS output FROM latents",
    "SELECT work_key || weights_sha256 AS output FROM models WHERE kind = 'uniform'",
    "SELECT work_key || file_sha256 AS output FROM generations",
)
# Without the scores, which read nothing but these outputs and take half of the time.
WORDS = ("run", "--preset", "nano", "--json", "--only", "ingest", "encode", "captions", "text", "train", "sample")
# A machine that is busy takes ten times as long. What hangs is told from what is slow by these alone.
PATIENCE_S = 900.0


def outputs(home: Path) -> list[set[str]]:
    """What a finished home holds, table by table, without anything that depends on when or by whom it was made."""
    catalog = Catalog.open(Settings(home=home))
    return [set(catalog.query(sql)["output"].to_pylist()) for sql in OUTPUTS]


def descendants(driver: int, words: str) -> list[psutil.Process]:
    """The driver's living descendants whose title has these words (Ray names its workers by what they run)."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(driver).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if words in " ".join(process.cmdline()):
                    found.append(process)
    return found


def wait_for(what: str, condition: Callable[[], Any], *, driver: Any, log: Path) -> Any:
    """The first true value of a condition, which must come while the driver lives."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        said = log.read_text(errors="replace")[-3000:]
        assert driver.poll() is None, f"the driver ended (exit code {driver.returncode}) before {what}: {said}"
        assert time.monotonic() < deadline, f"no {what} within {PATIENCE_S:.0f} s: {said}"
        time.sleep(0.05)
    return found


def victim(driver: int, words: str) -> Callable[[], psutil.Process | None]:
    """What kills the driver's newest descendant of this title: that process once it is dead, None while there is none.

    Ray replaces and ends workers as it likes, so the one that was just seen may be gone: then the next one is taken.
    """

    def kill() -> psutil.Process | None:
        for process in reversed(descendants(driver, words)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                return process
        return None

    return kill


def kill_at_once(driver: Any) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(driver.pid, signal.SIGKILL)
    driver.wait()


def finished(home: Path, log: Path) -> dict[str, int]:
    """How many items each stage had left to do when it is run until the end, whatever was killed before."""
    done = uniform(*WORDS, home=home, timeout_s=PATIENCE_S)
    assert done.code == 0, log.read_text(errors="replace")[-3000:] + done.err[-3000:]
    return {row["stage"]: row["done"] for row in done.json["stages"]}


def checkpoints(home: Path) -> list[Path]:
    """The checkpoints that training can go on from."""
    return [path for path in home.glob("checkpoints/*/steps/*") if path.is_dir() and "." not in path.name]


def steps_of(history: bytes) -> list[int]:
    """The steps in a piece of a history, in the order of writing."""
    records = [json.loads(line) for line in history.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    return [record["step"] for record in records if "loss" in record]


@pytest.mark.timeout(5 * PATIENCE_S)
def test_a_ray_worker_a_training_worker_and_the_driver_are_killed_once_each(
    nano_run: tuple[Path, Any], prefect_template: Path, tracking_template: Path, tmp_path: Path
) -> None:
    home, log = short_home("kill"), tmp_path / "log"
    seed_prefect(prefect_template, home)
    seed_tracking(tracking_template, home)
    driver = start_uniform(*WORDS, home=home, log=log)
    try:
        wait_for("a Ray worker", victim(driver.pid, "ray::PoolActor"), driver=driver, log=log)
        wait_for("a training worker", victim(driver.pid, "ray::RayTrainWorker"), driver=driver, log=log)
        wait_for("a checkpoint", lambda: checkpoints(home), driver=driver, log=log)
    finally:
        kill_at_once(driver)
    deadline = time.monotonic() + PATIENCE_S
    while (alive := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert alive == [], "something outlived the driver"
    (history,) = home.glob("checkpoints/*/history.jsonl")
    known = history.stat().st_size
    oldest, *newer = sorted(checkpoints(home))
    for checkpoint in newer:  # steps are faster than a kill: whatever was reached, training has some left to do
        shutil.rmtree(checkpoint)
    left = finished(home, log)
    assert left["ingest"] == left["encode"] == 0, "what was committed before the kill is done again"
    assert left["train"] > 0, "the driver was killed too late"
    assert left["sample"] > 0, "the driver was killed too late"
    again = steps_of(history.read_bytes()[known:])
    assert again[0] == int(oldest.name.removeprefix("step_")), "training did not go on from its checkpoint"
    assert outputs(home) == outputs(nano_run[0])
    assert all(outputs(home)), "nothing was compared"
    assert Catalog.open(Settings(home=home)).verify() == []
    shutil.rmtree(home.parent)


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
        for chosen in chance.sample(victims, min(1, len(victims))):
            with contextlib.suppress(psutil.NoSuchProcess):
                chosen.kill()
        kill_at_once(driver)
    finished(home, log)
    assert outputs(home) == outputs(nano_run[0])
    assert uniform("catalog", "verify", "--json", home=home).json == []
