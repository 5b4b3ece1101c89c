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
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
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
    "SELECT work_key || text_hash AS output FROM captions",
    "SELECT work_key || text AS output FROM caption_texts",
    "SELECT work_key || tensor_sha256 AS output FROM text_features",
    "SELECT work_key || weights_sha256 AS output FROM models WHERE kind = 'uniform'",
    "SELECT work_key || file_sha256 AS output FROM generations",
)
# Without the scores, which read nothing but these outputs and take half of the time.
WORDS = ("run", "--preset", "nano", "--json", "--only", "ingest", "encode", "captions", "text", "train", "sample")
TRAINERS = "ray::RayTrainWorker"
KILLS = 40  # of the long form
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


def a_busy_worker_killed(driver: int) -> bool:
    """Whether a worker of a pool was found at work, and killed in it.

    It is stopped first and looked at again, since work may end between a look and a kill, and nobody would miss it.
    """
    for process in descendants(driver, "ray::PoolActor."):  # `ray::PoolActor` alone is one that waits
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
            if "ray::PoolActor." in " ".join(process.cmdline()):
                process.kill()
                return True
            process.resume()
    return False


def a_training_worker_killed(driver: int) -> set[int]:
    """The workers of the training of which one was killed; empty while there are not two."""
    group = descendants(driver, TRAINERS)
    if len(group) < 2:
        return set()
    with contextlib.suppress(psutil.NoSuchProcess):
        group[-1].kill()
        return {process.pid for process in group}
    return set()


def another_group(driver: int, before: set[int]) -> bool:
    """Whether the training has workers that are not of the group before: what Ray Train does about a death."""
    return any(process.pid not in before for process in descendants(driver, TRAINERS))


def deaths(home: Path) -> int:
    """How many workers of pools were lost, by the summaries that the stages have left with Prefect."""
    with contextlib.closing(sqlite3.connect(home / "prefect" / "prefect.db")) as database:
        found = database.execute("SELECT data FROM artifact WHERE key LIKE '%-summary' AND type = 'table'").fetchall()
    return sum(int(row["deaths"]) for (data,) in found for row in json.loads(json.loads(data)))


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


@pytest.fixture
def fresh(prefect_template: Path, tracking_template: Path) -> Iterator[Callable[[], Path]]:
    """What makes fresh homes; they are gone at the end."""
    homes: list[Path] = []

    def make() -> Path:
        homes.append(short_home("kill"))
        seed_prefect(prefect_template, homes[-1])
        seed_tracking(tracking_template, homes[-1])
        return homes[-1]

    yield make
    for home in homes:
        shutil.rmtree(home.parent)


@pytest.mark.timeout(5 * PATIENCE_S)
def test_a_ray_worker_a_training_worker_and_the_driver_are_killed_once_each(
    nano_run: tuple[Path, Any], fresh: Callable[[], Path], tmp_path: Path
) -> None:
    home, log = fresh(), tmp_path / "log"
    driver = start_uniform(*WORDS, home=home, log=log)
    try:
        wait_for("Ray worker at work", lambda: a_busy_worker_killed(driver.pid), driver=driver, log=log)
        group = wait_for("two training workers", lambda: a_training_worker_killed(driver.pid), driver=driver, log=log)
        assert deaths(home) == 1, "the pool did not miss its worker"
        wait_for("training workers again", lambda: another_group(driver.pid, group), driver=driver, log=log)
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
    assert_undisturbed(home, nano_run[0])
    assert Catalog.open(Settings(home=home)).verify() == []


def assert_undisturbed(home: Path, undisturbed: Path) -> None:
    assert outputs(home) == outputs(undisturbed)
    assert all(outputs(home)), "nothing was compared"


def driver_that_loses_a_worker(home: Path, kind: str, *, after_s: float, log: Path) -> bool:
    """Whether its death hit unfinished work. The driver lives, and must end well."""
    driver = start_uniform(*WORDS, home=home, log=log)
    try:
        group: set[int] = set()
        is_hit = False
        begin = time.monotonic() + (after_s if kind == "pool" else 0.0)
        while driver.poll() is None:
            time.sleep(0.02)
            if kind == "pool" and not is_hit and time.monotonic() > begin:
                is_hit = a_busy_worker_killed(driver.pid)
            if kind == "training" and not group and len(descendants(driver.pid, TRAINERS)) == 2:
                time.sleep(after_s)
                group = a_training_worker_killed(driver.pid)
            is_hit = is_hit or (bool(group) and another_group(driver.pid, group))
    finally:
        kill_at_once(driver)
    assert driver.returncode == 0, log.read_text(errors="replace")[-3000:]
    assert kind == "training" or deaths(home) == is_hit, "the pool did not miss its worker"
    return is_hit


def driver_that_is_killed(home: Path, *, after_s: float, undisturbed: Path, log: Path) -> bool:
    """Whether it was killed with work left to do."""
    driver = start_uniform(*WORDS, home=home, log=log)
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.wait(timeout=after_s)
    assert driver.poll() in (None, 0), log.read_text(errors="replace")[-3000:]
    kill_at_once(driver)
    return outputs(home) != outputs(undisturbed)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_forty_kills_at_random_moments(nano_run: tuple[Path, Any], fresh: Callable[[], Path], tmp_path: Path) -> None:
    """In turn: a pool's worker, a training worker (their drivers live on, and end well), a driver.

    Only those count that hit unfinished work. One driver loses one worker, since an item that loses two is rejected.
    """
    undisturbed, said = nano_run
    chance, log = random.Random(20261122), tmp_path / "log"
    hits = dict.fromkeys(("pool", "training", "driver"), 0)
    kept = fresh()  # of the drivers that are killed: each goes on where the last one was, until all is done
    for round_ in range(4 * KILLS):
        if sum(hits.values()) >= KILLS:
            break
        kind = tuple(hits)[round_ % len(hits)]
        if kind == "driver":
            after_s = chance.uniform(2.0, said["wall_s"])
            is_hit = driver_that_is_killed(kept, after_s=after_s, undisturbed=undisturbed, log=log)
            if not is_hit:
                assert_undisturbed(kept, undisturbed)
                kept = fresh()
        else:
            home = fresh()
            after_s = chance.uniform(0.0, 0.7 * said["wall_s"] if kind == "pool" else 4.0)
            is_hit = driver_that_loses_a_worker(home, kind, after_s=after_s, log=log)
            assert_undisturbed(home, undisturbed)
            assert uniform("catalog", "verify", "--json", home=home).json == []
        hits[kind] += is_hit
        print(f"round {round_}: {kind} after {after_s:.1f} s, {'hit' if is_hit else 'missed'}; {hits}", flush=True)
    assert sum(hits.values()) >= KILLS, hits
    assert min(hits.values()) >= KILLS // 8, hits
    finished(kept, log)
    assert_undisturbed(kept, undisturbed)
    assert uniform("catalog", "verify", "--json", home=kept).json == []
