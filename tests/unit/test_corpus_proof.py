"""What a run's config asks less of than the standard gate: told in words, whatever the scores are."""

from __future__ import annotations

import pytest

from uniform_core.build import build_run
from uniform_core.corpus.proof import proof_of
from uniform_core.metrics import CoverageConfig, MemorisationConfig
from uniform_core.metrics.base import MetricConfig


@pytest.mark.parametrize("preset", ["tiny", "tiny_iddpm", "paper"])
def test_presets_that_are_to_be_judged_ask_for_all_of_it(preset: str) -> None:
    assert proof_of(build_run(preset), []).narrower == ()


def test_the_preset_of_tests_does_not() -> None:
    assert proof_of(build_run("nano"), []).narrower == ("2 of 6 classes", "feature nets of another training")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ('evaluate.text_for=["t2av","a2v","v2a"]', "text for a2v and t2av and v2a"),
        ("evaluate.text_for=[]", "text for no task"),
        ('evaluate.baselines=["retrieval","codec_round_trip"]', "no untrained baseline"),
        ("evaluate.memory_clips=10", "copies sought among 10 training clips"),
        ("evaluate.nets.video.steps=1", "feature nets of another training"),
        ('data.labels=["siren"]', "1 of 6 classes"),
        ("evaluate.gate.loss_gap=99", "loss_gap 99"),
    ],
)
def test_a_setting_by_which_less_is_asked_is_told(override: str, words: str) -> None:
    assert proof_of(build_run("tiny", overrides=[override]), []).narrower == (words,)


@pytest.mark.parametrize(
    "override",
    ["evaluate.seed=3", "evaluate.memory_clips=9999", "evaluate.untrained_clips=192", "evaluate.gate.loss_gap=1.1"],
)
def test_a_setting_by_which_no_less_is_asked_is_not(override: str) -> None:
    assert proof_of(build_run("tiny", overrides=[override]), []).narrower == ()


def wider(metric: MetricConfig) -> MetricConfig:
    """The same metric under parameters by which it is easier to pass."""
    changed = {"k": 50} if isinstance(metric, CoverageConfig) else {"percentile": 1e-4}
    return metric.model_copy(update=changed) if isinstance(metric, CoverageConfig | MemorisationConfig) else metric


def test_a_metric_that_is_measured_in_another_form_is_told_and_one_that_is_not_measured_is_not_computed() -> None:
    config = build_run("tiny")
    kept = [wider(metric) for metric in config.evaluate.metrics if metric.metric != "copied_share"]
    other = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"metrics": tuple(kept)})})
    assert proof_of(other, []).narrower == (
        "coverage (tinyvideo) of another form",
        "coverage (tinymel) of another form",
        "copying_z (videosketch) of another form",
        "copying_z (melsketch) of another form",
    )
