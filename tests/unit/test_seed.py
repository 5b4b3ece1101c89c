"""The seed of procedural clips from the environment: it becomes words of the run, and never two of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.report.repeat import command_of
from flows.seed import seeded
from uniform_core.build import build_run
from uniform_core.errors import ConfigError

SEED = "UNIFORM_PROCEDURAL_SEED"


def test_without_a_seed_the_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SEED, raising=False)
    assert seeded("nano", ["train.steps=9"], None) == ["train.steps=9"]


def test_a_seed_is_that_of_both_datasets_and_stands_in_the_command_that_repeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SEED, "41")
    words = seeded("nano", ["train.steps=9"], None)
    config = build_run("nano", overrides=words)
    assert config.data == config.instrument
    assert config.data.model_dump()["seed"] == 41
    monkeypatch.delenv(SEED)
    assert "data.seed=41" in command_of(config)
    assert seeded("nano", words, None) == words


def test_words_that_have_the_seed_already_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEED, "41")
    words = seeded("nano", [], None)
    assert seeded("nano", words, None) == words


def test_data_that_is_not_procedural_has_no_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SEED, "41")
    assert seeded("nano", [], f"folder:{tmp_path}") == ["instrument.seed=41"]


def test_two_seeds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEED, "41")
    with pytest.raises(ConfigError, match=r"data\.seed=3.*41"):
        seeded("nano", ["data.seed=3"], None)


@pytest.mark.parametrize("value", ["-1", "one", "2.5"])
def test_what_is_no_seed_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(SEED, value)
    with pytest.raises(ConfigError, match=SEED):
        seeded("nano", [], None)
