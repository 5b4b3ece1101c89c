"""The nightly form: what is made of the gates of several runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import said

from flows import nightly as nights
from flows.cli.main import build_parser
from flows.frozen import NightConfig, seedless_digest
from flows.nightly import PRESETS, SEEDS, Night, run_in_process, spend_night
from uniform_core.build import build_run
from uniform_core.diffusion import AncestralConfig, IddpmConfig
from uniform_core.errors import WorkFailedError


def gate_of(
    value: float | None, *, verdict: str = "passed", at_least: bool = True, quantity: str = "value"
) -> dict[str, Any]:
    check = {"task": "v2a", "check": "class", "score": {"name": "class_accuracy.net.test"}, "found": value}
    check |= {"bound": 0.8, "at_least": at_least, "verdict": verdict, "quantity": quantity}
    return {"verdict": verdict, "narrower": [], "checks": [check]}


def configs_of(*presets: str) -> dict[str, NightConfig]:
    return {preset: NightConfig.of_run(build_run(preset), []) for preset in presets}


@pytest.mark.parametrize(("at_least", "frozen"), [(True, 0.9 - 0.2), (False, 0.9 + 0.2)])
def test_a_frozen_bound_lies_two_deviations_on_the_worse_side(at_least: bool, frozen: float) -> None:
    night = Night({("tiny", seed): gate_of(value, at_least=at_least) for seed, value in enumerate((0.8, 0.9, 1.0))}, {})
    (row,) = night.frozen()
    assert (row.mean, row.deviation, row.frozen) == pytest.approx((0.9, 0.1, frozen))
    assert (row.passed, row.seeds) == (3, 3)
    assert night.is_passed


def test_a_seed_that_fails_or_has_no_number_fails_the_night() -> None:
    night = Night({("tiny", 0): gate_of(0.9), ("tiny", 1): gate_of(None, verdict="not computed")}, {})
    (row,) = night.frozen()
    assert (row.passed, row.seeds, row.mean, row.deviation, row.frozen) == (1, 2, 0.9, None, None)
    assert not night.is_passed
    assert not Night({}, {}).is_passed


def test_p_values_have_no_frozen_bound() -> None:
    night = Night({("tiny", seed): gate_of(1e-4, at_least=False, quantity="p") for seed in range(3)}, {})
    (row,) = night.frozen()
    assert (row.mean, row.frozen) == (1e-4, None)


def stand_in(tmp_path: Path, *, says: str, code: int = 0) -> str:
    """A program that keeps the words it is called with and says this in the place of Python."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path / 'words'}\necho '{says}'\nexit {code}\n")
    program.chmod(0o755)
    return str(program)


def test_a_run_is_asked_for_by_its_preset_its_settings_and_its_training_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, says='{"gate": {"verdict": "passed"}}'))
    assert run_in_process(["train.steps=5"])("tiny_iddpm", 2) == {"verdict": "passed"}
    words = "-m flows run --preset tiny_iddpm --json --set train.steps=5 --set train.seed=2"
    assert (tmp_path / "words").read_text().split() == words.split()


@pytest.mark.parametrize(("says", "code", "found"), [("{}", 0, "without scores"), ("", 3, "exit code 3")])
def test_a_run_that_fails_or_scores_nothing_says_which_one_it_was(
    says: str, code: int, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, says=says, code=code))
    with pytest.raises(WorkFailedError, match=rf"(?s)preset tiny .*train\.seed=1.*{found}"):
        run_in_process()("tiny", 1)


def test_what_a_night_has_so_far_is_told_after_each_run() -> None:
    told: list[int] = []

    def run(_preset: str, seed: int) -> dict[str, Any]:
        if seed == 2:
            raise WorkFailedError("a run", expected="an end", found="none", fix="Wait.")
        return gate_of(0.9)

    with pytest.raises(WorkFailedError):
        spend_night(configs_of("tiny"), range(3), run=run, on_gate=lambda night: told.append(len(night.gates)))
    assert told == [1, 2]


def test_every_preset_is_run_with_every_seed() -> None:
    asked: list[tuple[str, int]] = []

    def run(preset: str, seed: int) -> dict[str, Any]:
        asked.append((preset, seed))
        return gate_of(0.9)

    night = spend_night(configs_of("tiny", "tiny_iddpm"), range(2), run=run)
    assert asked == [("tiny", 0), ("tiny", 1), ("tiny_iddpm", 0), ("tiny_iddpm", 1)]
    assert [row.preset for row in night.frozen()] == ["tiny", "tiny_iddpm"]


def test_the_command_keeps_its_table_and_says_by_its_code_whether_all_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    gates = {0: gate_of(0.9), 1: gate_of(0.7, verdict="failed")}
    monkeypatch.setattr(nights, "run_in_process", lambda _: lambda _preset, seed: gates[seed])
    assert said(["nightly", "--presets", "nano", "--seeds", "1"], capsys)[0] == 0
    code, words = said(["nightly", "--presets", "nano", "--seeds", "2"], capsys)
    assert code == 1
    assert "nano, training seed 1: gate failed" in words
    night = json.loads((tmp_path / "reports" / "nightly.json").read_text())
    assert night["passed"] is False
    assert night["configs"] == {"nano": {"overrides": [], "digest": seedless_digest(build_run("nano"))}}
    code, words = said(["nightly", "--presets", "nobody"], capsys)
    assert code == 2
    assert "nobody" in words


def test_a_night_says_of_each_run_by_how_narrow_a_gate_it_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    monkeypatch.setattr(nights, "run_in_process", lambda _: lambda *_: gate_of(0.9) | {"narrower": ["loss_gap 99"]})
    _, words = said(["nightly", "--presets", "nano", "--seeds", "1"], capsys)
    assert "nano, training seed 0: gate passed, by a narrower gate: loss_gap 99" in words
    (run,) = json.loads((tmp_path / "reports" / "nightly.json").read_text())["runs"]
    assert run == {"preset": "nano", "seed": 0, "verdict": "passed", "narrower": ["loss_gap 99"]}


def test_a_night_is_of_three_seeds_and_both_objectives() -> None:
    words = build_parser().parse_args(["nightly"])
    assert (words.presets, words.seeds) == (["tiny", "tiny_iddpm"], 3) == (list(PRESETS), SEEDS)


def test_a_night_that_ends_early_leaves_the_last_whole_one_and_what_it_has_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    whole, so_far = (tmp_path / "reports" / name for name in ("nightly.json", "nightly.so_far.json"))

    def broken(_preset: str, seed: int) -> dict[str, Any]:
        if seed:
            raise WorkFailedError("a run", expected="an end", found="none", fix="Wait.")
        return gate_of(0.7)

    monkeypatch.setattr(nights, "run_in_process", lambda _: lambda *_: gate_of(0.9))
    assert said(["nightly", "--presets", "nano", "--seeds", "2"], capsys)[0] == 0
    assert not so_far.exists()
    kept = whole.read_bytes()
    monkeypatch.setattr(nights, "run_in_process", lambda _: broken)
    assert said(["nightly", "--presets", "nano", "--seeds", "2"], capsys)[0] == 1
    assert whole.read_bytes() == kept
    assert [run["seed"] for run in json.loads(so_far.read_text())["runs"]] == [0]


def test_the_second_preset_is_the_papers_algorithm() -> None:
    config = build_run("tiny_iddpm")
    assert isinstance(config.objective, IddpmConfig)
    assert (config.objective.variance, config.objective.min_snr) == ("learned_range", 0.1)
    assert isinstance(config.sample.sampler, AncestralConfig)
    assert (config.sample.sampler.steps, config.sample.sampler_given) == (30, None)
    longer = {"steps": 12_000, "validation_every": 3000}
    assert config.train == build_run("tiny").train.model_copy(update=longer)
    assert config.sample.guidance == build_run("tiny").sample.guidance


def test_a_night_says_with_which_procedural_seed_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    monkeypatch.setenv("UNIFORM_PROCEDURAL_SEED", "9")
    monkeypatch.setattr(nights, "run_in_process", lambda _: lambda *_: gate_of(0.9))
    code, words = said(["nightly", "--presets", "nano", "--seeds", "1", "--json"], capsys)
    config = json.loads(words)["configs"]["nano"]
    assert (code, config["overrides"]) == (0, ["data.seed=9", "instrument.seed=9"])
    assert config["digest"] == seedless_digest(build_run("nano")) != seedless_digest(build_run("tiny"))
