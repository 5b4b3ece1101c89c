"""`uniform proof`: the gate in words or in JSON, and its verdict as an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import said
from report_records import scores

from flows.cli import proof as command
from uniform_core.metrics.gate import GateConfig
from uniform_core.metrics.proof import prove
from uniform_core.types import Task


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The rows of an evaluation, which the command takes for the catalog's."""
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    rows = scores()

    def outcome(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(scores=rows, proof=prove(rows, GateConfig(), tasks=tuple(Task)))

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


def test_without_an_evaluation_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    code, words = said(["proof", "--preset", "nano"], capsys)
    assert code == 1
    assert "Run `uniform run` with the same preset" in words
