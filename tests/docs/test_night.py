"""docs/nightly.json is a whole night that passed, and its bounds are those of the gate as it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.frozen import KeptNight, read_frozen
from uniform_core.metrics.gate import rules_of
from uniform_core.presets import PRESETS
from uniform_core.types import Task

PATH = Path(__file__).parents[2] / "docs" / "nightly.json"
NIGHT: dict[str, Any] = json.loads(PATH.read_text())
CHOSEN = ("tiny", "tiny_iddpm")


def test_every_run_of_three_training_seeds_and_both_objectives_passed() -> None:
    runs = [(run["preset"], run["seed"], run["verdict"]) for run in NIGHT["runs"]]
    assert runs == [(preset, seed, "passed") for preset in CHOSEN for seed in range(3)]
    assert NIGHT["passed"] is True
    assert {check["passed"] for check in NIGHT["checks"]} == {3}


def test_it_asked_every_check_of_the_gate_at_its_bound() -> None:
    for preset in CHOSEN:
        own = read_frozen(PATH, preset=preset)
        for rule in rules_of(PRESETS[preset]().evaluate.gate):
            for task in rule.tasks:
                asked = [row for row in own.checks if (row.check, row.task) == (rule.name, str(task))]
                assert len(asked) == rule.scores_of(task), (preset, rule.name, task)
                assert {(row.bound, row.at_least, row.seeds) for row in asked} == {(rule.bound, rule.is_at_least, 3)}


def test_bounds_are_frozen_of_everything_that_has_a_spread() -> None:
    kept = KeptNight.model_validate({name: NIGHT[name] for name in KeptNight.model_fields})
    open_ended = {row.check for row in kept.checks if row.frozen is None}
    assert open_ended == {rule.name for rule in rules_of(PRESETS["tiny"]().evaluate.gate) if rule.quantity == "p"}
    assert {Task(row.task) for row in kept.checks} == set(Task)
