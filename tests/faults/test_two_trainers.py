"""Two drivers begin the same training at the same moment: one trains, the other waits, and both have its model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from command_line import environment_of, processes_of, short_home

from uniform_core.catalog import Catalog
from uniform_core.settings import Settings

DRIVER = Path(__file__).parents[1] / "training_driver.py"
STEPS = 4
CHANGES = (f"train.steps={STEPS}", "train_workers=1")
PATIENCE_S = 900.0  # only ends what hangs


def test_two_drivers_train_a_model_once(nano_run: tuple[Path, Any], tmp_path: Path) -> None:
    home = short_home("two")
    shutil.copytree(nano_run[0], home)
    go, ready = tmp_path / "go", [tmp_path / f"ready-{number}" for number in range(2)]
    drivers = []
    for mark in ready:
        words = [sys.executable, str(DRIVER), str(home), str(mark), str(go), "nano", *CHANGES]
        drivers.append(
            subprocess.Popen(words, env=environment_of(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    deadline = time.monotonic() + PATIENCE_S
    while not all(mark.exists() for mark in ready):
        assert time.monotonic() < deadline, "the drivers do not come up"
        assert [driver.poll() for driver in drivers] == [None, None], [driver.communicate() for driver in drivers]
        time.sleep(0.02)
    go.touch()
    said = [driver.communicate(timeout=PATIENCE_S) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], said
    found = sorted((json.loads(out.splitlines()[-1]) for out, _ in said), key=lambda one: int(one["done"]))
    assert [one["done"] for one in found] == [0, STEPS], "one of them has trained"
    assert [one["ray"] for one in found] == [False, True], "who waited starts no Ray for it"
    key = found[0]["model"]
    assert key == found[1]["model"]
    models = Catalog.open(Settings(home=home)).query("SELECT run_id FROM models WHERE model_id = ?", parameters=[key])
    assert models["run_id"].to_pylist() == [f"driver-{trainer_of(drivers, said)}"]
    history = [json.loads(line) for line in (home / "checkpoints" / key / "history.jsonl").read_text().splitlines()]
    steps = [record["step"] for record in history if "loss" in record]
    assert steps == sorted(set(steps)), "a step was done twice"
    assert len(list((home / "checkpoints" / key / "ray").glob("train-*"))) == 1
    assert processes_of(home) == []
    shutil.rmtree(home.parent)


def trainer_of(drivers: list[subprocess.Popen[str]], said: list[tuple[str, str]]) -> int:
    """The process that did the steps."""
    return next(
        driver.pid
        for driver, (out, _) in zip(drivers, said, strict=True)
        if json.loads(out.splitlines()[-1])["done"] == STEPS
    )
