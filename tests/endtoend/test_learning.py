"""The preset tiny has learned something: minutes, so in the long form only, and held to no clock."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import short_home, uniform

BELOW_UNTRAINED = 10.0
FRECHET = {"fvd.tinyvideo.uniform_tiny": ("t2av", "a2v"), "fad.tinymel.uniform_tiny": ("t2av", "v2a")}
pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def tiny_run() -> Iterator[tuple[Path, Any]]:
    """A fresh home in which `uniform run --preset tiny` has ended well, and what it said."""
    home = short_home("tiny")
    done = uniform("run", "--preset", "tiny", "--json", home=home, timeout_s=7200)
    assert done.code == 0, done.err[-4000:]
    yield home, done.json
    shutil.rmtree(home.parent)


@pytest.fixture(scope="module")
def scores(tiny_run: tuple[Path, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The scores of the run, by name, system and task."""
    return {(row["name"], row["system"], row["task"]): row for row in tiny_run[1]["scores"]}


def test_the_gate_is_passed_and_refuses_every_control(tiny_run: tuple[Path, Any]) -> None:
    gate = tiny_run[1]["gate"]
    against = [check for check in gate["checks"] if check["verdict"] != "passed"]
    assert gate["verdict"] == "passed", against
    assert {control["verdict"] for control in gate["controls"]} == {"passed"}


@pytest.mark.parametrize(("name", "task"), [(name, task) for name, tasks in FRECHET.items() for task in tasks])
def test_clips_are_ten_times_nearer_to_real_ones_than_those_of_the_untrained_model(
    scores: dict[tuple[str, str, str], dict[str, Any]], name: str, task: str
) -> None:
    ratio = scores[name, "untrained", task]["value"] / scores[name, "uniform", task]["value"]
    assert ratio >= BELOW_UNTRAINED


@pytest.mark.parametrize("task", ["v2a", "a2v", "t2av"])
def test_sound_and_picture_belong_together_more_than_with_any_other_of_the_class(
    scores: dict[tuple[str, str, str], dict[str, Any]], task: str
) -> None:
    assert scores["synchrony.tinysync.uniform_tiny", "uniform", task]["low"] > 0.5


@pytest.mark.parametrize("name", ["kvd.tinyvideo.uniform_tiny", "kad.tinymel.uniform_tiny"])
def test_real_clips_are_at_no_kernel_distance_from_real_ones(
    scores: dict[tuple[str, str, str], dict[str, Any]], name: str
) -> None:
    real, untrained = scores[name, "real", "all"], scores[name, "untrained", "t2av"]
    assert abs(real["value"]) < 0.02 * untrained["value"]


def test_synchrony_falls_to_chance_where_sound_and_picture_do_not_attend_to_each_other(
    tiny_run: tuple[Path, Any],
) -> None:
    done = uniform("debug", "cut", "--preset", "tiny", "--json", home=tiny_run[0], timeout_s=7200)
    assert done.code == 0, done.err[-4000:]
    by_task: dict[str, dict[str, Any]] = {}
    for row in done.json:
        by_task.setdefault(row["task"], {})[row["attention"]] = row
    assert by_task.keys() == {"t2av", "a2v", "v2a"}
    assert all(both["severed"]["high"] < both["whole"]["low"] for both in by_task.values())


def test_the_preset_learns_a_few_clips_by_heart(tiny_run: tuple[Path, Any]) -> None:
    done = uniform("debug", "overfit", "--preset", "tiny", "--json", home=tiny_run[0], timeout_s=7200)
    assert done.code == 0, done.err[-4000:]
