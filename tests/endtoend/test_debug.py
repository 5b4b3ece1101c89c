"""`uniform debug` on a home that `uniform run --preset nano` has filled: in this process, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import said

from flows.cli.main import main
from uniform_core.settings import Settings

SMALL = ["--preset", "nano", "--json"]
# Nano's own width of 32 is below the 128 values of a patch: noise cannot pass it.
WORDS = ("model.hidden=192", "model.heads=4", "train.batch=8", "objective.kind=iddpm")
ROOMY = [f"--set={word}" for word in WORDS]


@pytest.fixture
def nano_home(nano_run: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    home, _ = nano_run
    monkeypatch.setenv("UNIFORM_HOME", str(home))
    return home


def answer(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
    """The exit code of a command, its JSON, and its error on one line."""
    code = main(words)
    out = capsys.readouterr()
    return code, json.loads(out.out), " ".join(out.err.split())


def files_of(home: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}


def test_a_small_model_learns_two_clips_by_heart(nano_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(nano_home)
    code, found, error = answer(["debug", "overfit", *SMALL, *ROOMY, "--clips", "2", "--steps", "300"], capsys)
    assert code == 0, error
    assert (len(found["clip_ids"]), found["steps"]) == (2, 300)
    parts = [(row["task"], row["modality"]) for row in found["errors"]]
    assert parts == [("t2av", "video"), ("t2av", "audio"), ("a2v", "video"), ("v2a", "audio")]
    assert all(row["ratio"] == row["last"] / row["first"] <= 0.05 for row in found["errors"])
    assert files_of(nano_home) == before


def test_too_few_steps_are_told(nano_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, error = answer(["debug", "overfit", *SMALL, "--clips", "99", "--steps", "20"], capsys)
    assert code == 1
    assert len(found["clip_ids"]) == 12, "as many as there are"
    assert "expected every error at most 5% of its first; found t2av video " in error
    assert "give more --steps" in error


def test_a_cut_of_a_model_that_has_not_learned_says_so(nano_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(nano_home)
    code, found, error = answer(["debug", "cut", *SMALL, "--clips", "4"], capsys)
    assert [(row["task"], row["attention"]) for row in found] == [
        (task, attention) for task in ("t2av", "a2v", "v2a") for attention in ("whole", "severed")
    ]
    assert {row["clips"] for row in found} == {4}
    assert all(row["low"] <= row["value"] <= row["high"] for row in found)
    assert code == 1, "eight steps teach nothing"
    assert "found whole at chance: t2av" in error
    assert files_of(nano_home) == before


def test_clips_without_a_partner_are_told(nano_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(["debug", "cut", "--preset", "nano", "--clips", "1"], capsys)
    assert code == 1
    assert "Ask for more --clips, two of a class" in words


def test_a_run_without_a_synchrony_metric_cannot_be_judged(nano_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = '--set=evaluate.metrics=[{"kind":"class_accuracy","protocol":PROTOCOL,"classes":["a","b"]}]'
    protocol = '{"name":"uniform_tiny","extractor":"tinyvideo","layer":"logits"}'
    code, words = said(["debug", "cut", "--preset", "nano", metrics.replace("PROTOCOL", protocol)], capsys)
    assert code == 2
    assert "expected a synchrony metric" in words


def test_what_is_missing_is_told_with_what_to_run(nano_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(["debug", "cut", "--preset", "nano", "--set", "train.lr=0.123"], capsys)
    assert (code, "Run `uniform train` with the same preset" in words) == (1, True)
    code, words = said(["debug", "cut", "--preset", "nano", "--set", "evaluate.nets.sync.steps=5"], capsys)
    assert (code, "found no sync net" in words, "Run `uniform evaluate`" in words) == (1, True, True)


@pytest.mark.parametrize("action", ["overfit", "cut"])
def test_an_empty_home_says_what_to_run_first(action: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(["debug", action, "--preset", "nano"], capsys)
    assert code == 1
    assert ("Ingest and encode first" if action == "overfit" else "Run `uniform train`") in words
    assert Settings(home=home).home.is_dir()


def test_steps_are_a_word_of_overfit_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(["debug", "cut", "--steps", "5"], capsys)
    assert code == 2
    assert "--steps, which is of overfit" in words
