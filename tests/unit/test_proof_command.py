"""`uniform proof`: the gate in words or in JSON, and its verdict as an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import said
from report_records import scores

from flows.cli import main
from flows.cli import proof as command
from flows.frozen import NightConfig
from flows.nightly import Night
from flows.proof import proof_json
from uniform_core.build import build_run
from uniform_core.metrics.gate import GateConfig
from uniform_core.metrics.proof import prove


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The rows of an evaluation, which the command takes for the catalog's."""
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    rows = scores()

    def outcome(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(scores=rows, proof=prove(rows, GateConfig()))

    monkeypatch.setattr(command, "outcome_of", outcome)
    return rows


def test_a_gate_that_is_passed_is_exit_code_0(evaluated: list[dict], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluated
    code, words = said(["proof", "--preset", "nano"], capsys)
    assert code == 0
    assert "gate passed: of 42 checks 42 passed; 18 of 18 controls refused as they must be" in words


def test_a_check_that_fails_is_exit_code_1_and_named(evaluated: list[dict], capsys: pytest.CaptureFixture[str]) -> None:
    next(row for row in evaluated if row["system"] == "uniform" and row["name"].startswith("fad"))["value"] = 99.0
    code, words = said(["proof", "--preset", "nano"], capsys)
    assert code == 1
    assert "failed: t2av audio fidelity (fad.tinymel.uniform_tiny): 99, wanted ≤ 10 (goal 5)" in words
    code, words = said(["proof", "--preset", "nano", "--json"], capsys)
    assert (code, json.loads(words)["verdict"]) == (1, "failed")


def test_a_gate_that_could_not_be_computed_is_exit_code_1(
    evaluated: list[dict], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated[:] = [row for row in evaluated if row["system"] != "copier"]
    code, words = said(["proof", "--preset", "nano"], capsys)
    assert code == 1
    assert "gate not computed" in words


def test_a_gate_that_is_narrower_says_so_where_it_passes(
    evaluated: list[dict], capsys: pytest.CaptureFixture[str]
) -> None:
    for row in evaluated:
        row["n_generated"] = 48
    code, words = said(["proof", "--preset", "nano"], capsys)
    assert code == 0
    assert "gate passed, by a narrower gate: 48 clips a task; of 42 checks 42 passed; 18 of 18 controls" in words
    _, words = said(["proof", "--preset", "nano", "--json"], capsys)
    assert (json.loads(words)["verdict"], json.loads(words)["narrower"]) == ("passed", ["48 clips a task"])


def test_no_clips_are_counted_where_a_score_speaks_of_the_model_itself(
    evaluated: list[dict], capsys: pytest.CaptureFixture[str]
) -> None:
    for row in evaluated:
        row["n_generated"] = 0 if row["name"].startswith("loss_gap") else 192
    main(["proof", "--preset", "nano"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("v2a   no gap of losses")]
    assert line.endswith("  –")
    _, words = said(["proof", "--preset", "nano", "--json"], capsys)
    counts = {check["check"]: check["score"]["n_generated"] for check in json.loads(words)["checks"]}
    assert (counts["no gap of losses"], counts["class"]) == (None, 192)


def test_nets_that_have_seen_no_such_film_are_told_of(
    evaluated: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated
    _, words = said(["proof", "--preset", "nano", "--data", f"folder:{tmp_path}"], capsys)
    assert "The feature nets were taught by clips of 2 rendered classes" in words
    _, words = said(["proof", "--preset", "nano", "--data", f"folder:{tmp_path}", "--json"], capsys)
    assert json.loads(words)["remark"].startswith("The feature nets")
    _, words = said(["proof", "--preset", "nano"], capsys)
    assert "The feature nets" not in words


def test_without_an_evaluation_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    code, words = said(["proof", "--preset", "nano"], capsys)
    assert code == 1
    assert "Run `uniform run` with the same preset" in words


def kept_night(
    tmp_path: Path, rows: list[dict], *, found: float, seeds: int = 2, overrides: Sequence[str] = ()
) -> Path:
    """The file of a night of preset nano whose seeds had this number at every check."""
    gate = proof_json(prove(rows, GateConfig()))
    gate["checks"] = [check | {"found": found} for check in gate["checks"]]
    configs = {"nano": NightConfig.of_run(build_run("nano", overrides=overrides), overrides)}
    path = tmp_path / "nightly.json"
    path.write_text(json.dumps(Night({("nano", seed): gate for seed in range(seeds)}, configs).as_json()))
    return path


def test_what_is_worse_than_a_night_is_told_and_decides_nothing(
    evaluated: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = kept_night(tmp_path, evaluated, found=0.85)
    code, words = said(["proof", "--preset", "nano", "--frozen", str(night)], capsys)
    assert code == 0
    assert "v2a class (class_accuracy.tinymel.uniform_tiny): 0.88" not in words  # at least .85 is asked
    assert "v2a no more diversity (diversity_most.tinymel.uniform_tiny): 1.35, frozen 0.85" in words
    code, words = said(["proof", "--preset", "nano", "--frozen", str(night), "--json"], capsys)
    beside = json.loads(words)["frozen"]
    assert beside["compared"] == 42 - sum(check["quantity"] == "p" for check in json.loads(words)["checks"])
    assert {row["frozen"] for row in beside["worse"]} == {0.85}
    assert len(beside["worse"]) < beside["compared"]


@pytest.mark.parametrize(
    ("overrides", "same"), [([], True), (["train.seed=7", "data.seed=3"], True), (["train.steps=9"], False)]
)
def test_a_night_of_another_config_is_said_to_be_one(
    overrides: list[str], same: bool, evaluated: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = kept_night(tmp_path, evaluated, found=0.85, overrides=overrides)
    code, words = said(["proof", "--preset", "nano", "--frozen", str(night)], capsys)
    assert code == 0
    assert ("the runs of that night had another config" not in words) is same


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ("{}", "configs: "),
        ('{"configs": {}}', "checks: "),
        ('{"configs": {}, "checks": [{"preset": 7}]}', "checks.0.preset: "),
        (None, "No such file"),
    ],
)
def test_a_file_that_no_night_wrote_is_a_wrong_call(
    text: str | None, found: str, evaluated: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated
    path = tmp_path / "other.json"
    if text is not None:
        path.write_text(text)
    code, words = said(["proof", "--preset", "nano", "--frozen", str(path)], capsys)
    assert code == 2
    assert found in words
    assert "`uniform nightly` writes one" in words


def test_a_night_of_other_presets_says_which(
    evaluated: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = kept_night(tmp_path, evaluated, found=0.85)
    code, words = said(["proof", "--preset", "tiny", "--frozen", str(night)], capsys)
    assert code == 2
    assert "expected frozen bounds of preset tiny; found those of nano" in words


def test_a_night_of_one_seed_has_no_bounds_to_compare_with(
    evaluated: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = kept_night(tmp_path, evaluated, found=0.85, seeds=1)
    code, words = said(["proof", "--preset", "nano", "--frozen", str(night)], capsys)
    assert code == 2
    assert "found none, as of fewer than two training seeds" in words
