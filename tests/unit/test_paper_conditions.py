"""What a table needs of a run: its words, its place, and that no word of it changes the model."""

from __future__ import annotations

import json

import pytest

from uniform_core.build import build_run
from uniform_core.corpus.fingerprints import train_fingerprint
from uniform_core.corpus.unimodal import unimodal_config, unimodal_words
from uniform_core.metrics.base import MetricConfig
from uniform_core.paper_tables import METRICS, NUMBERS, TableRun, runs_of
from uniform_core.paper_tables.conditions import metric_of
from uniform_core.types import Modality, Task


def values_of(run: TableRun) -> dict[str, object]:
    """The words of a run, but its long list of metrics."""
    words = dict(word.split("=", 1) for word in run.words)
    return {name: json.loads(value) for name, value in words.items() if name != "evaluate.metrics"}


@pytest.mark.parametrize("preset", ["nano", "paper"])
@pytest.mark.parametrize("number", NUMBERS)
def test_every_run_of_every_table_is_a_valid_run_of_the_same_model(number: str, preset: str) -> None:
    base = build_run(preset)
    runs, missing = runs_of(number, base)
    assert runs or missing
    for run in runs:
        config = build_run(preset, overrides=run.words)
        assert train_fingerprint(config) == train_fingerprint(base)
        assert {c.task for c in run.conditions} == set(config.evaluate.tasks)
        assert {c.task for c in run.conditions if c.with_text} == set(config.evaluate.text_for)
        assert [metric_of(metric) for metric in config.evaluate.metrics].count(None) == 0


def test_rendered_clips_stand_for_every_dataset_once() -> None:
    runs, missing = runs_of("3", build_run("nano"))
    assert missing == ()
    [run] = runs
    assert {condition.dataset for condition in run.conditions} == {"landscape", "aist++"}
    assert not run.place.is_paper_data
    assert values_of(run) == {
        "evaluate.tasks": ["t2av"],
        "evaluate.text_for": ["t2av"],
        "evaluate.baselines": [],
        "evaluate.controls": [],
        "evaluate.memory_clips": 1,
    }


def test_the_papers_sets_are_scored_on_their_own_splits_against_their_own_training_clips() -> None:
    runs, missing = runs_of("3", build_run("paper"))
    assert missing == ()
    places = [(run.place.split, run.place.reference, run.place.is_paper_data) for run in runs]
    assert places == [("landscape:test", "landscape:train", True), ("aistpp:test", "aistpp:train", True)]
    assert values_of(runs[0])["evaluate.split"] == "landscape:test"


def test_what_the_data_lack_is_told_and_not_replaced() -> None:
    runs, [missing] = runs_of("s5", build_run("paper"))
    assert runs == ()
    assert missing.reason == "the run's data list no audioset:eval: give that part of them every split"
    whole = build_run("paper", overrides=["data.members.audioset.split=null"])
    assert {run.place.split for run in runs_of("s5", whole)[0]} == {"audioset:eval"}
    runs, [missing] = runs_of("5", build_run("paper", data="vggsound"))
    assert {run.place.split for run in runs} == {"vggsound:test"}
    assert "have no landscape" in missing.reason


def test_text_is_what_the_row_says() -> None:
    runs, _ = runs_of("5", build_run("nano"))
    assert [values_of(run)["evaluate.text_for"] for run in runs] == [[], ["a2v", "v2a"]]


def test_a_sweep_varies_steps_of_both_samplers_and_the_guidance_of_text_alone() -> None:
    runs, _ = runs_of("s6", build_run("nano"))
    varied = [{name: value for name, value in values_of(run).items() if name.startswith("sample.")} for run in runs]
    steps = [{"sample.sampler.steps": n, "sample.sampler_given.steps": n} for n in (10, 20, 30, 40, 50)]
    assert varied == steps + [{"sample.guidance.text_scale": float(scale)} for scale in (3, 4, 5, 6, 7)]
    assert all(run.conditions and {c.task for c in run.conditions} == set(Task) for run in runs)
    default = build_run("paper", overrides=runs_of("s6", build_run("paper"))[0][2].words)
    assert default.sample == build_run("paper").sample, "30 steps and guidance 5 are the paper's own"


def test_a_sweep_scores_what_its_table_prints_and_no_more() -> None:
    def metrics(number: str) -> set[str | None]:
        runs, _ = runs_of(number, build_run("nano"))
        return {metric_of(metric) for metric in build_run("nano", overrides=runs[0].words).evaluate.metrics}

    assert metrics("s6") == {"fad", "fvd"}
    assert metrics("2") == metrics("1") == {"fad", "fvd", "kvd", "is_audio", "is_video", "kl", "av_align"}


def test_metrics_are_told_apart_by_what_they_judge() -> None:
    by_name: dict[str, MetricConfig] = {metric.name: metric for metric in build_run("nano").evaluate.metrics}
    assert metric_of(by_name["is.tinyvideo.uniform_tiny"]) == "is_video"
    assert metric_of(by_name["is.tinymel.uniform_tiny"]) == "is_audio"
    assert metric_of(by_name["kl.tinymel.uniform_tiny"]) == "kl"
    assert metric_of(by_name["kl.tinyvideo.uniform_tiny"]) is None, "the paper's is of sound"
    assert metric_of(by_name["synchrony.tinysync.uniform_tiny"]) is None
    chance = next(metric for name, metric in by_name.items() if name.startswith("av_align_chance."))
    assert metric_of(chance) == "av_align"
    assert set(METRICS) >= {metric_of(metric) for metric in by_name.values()} - {None}


def test_the_unimodal_table_asks_for_the_baseline_and_its_models_are_of_one_modality() -> None:
    [run], _ = runs_of("6", build_run("nano"))
    assert run.needs_unimodal
    assert values_of(run)["evaluate.baselines"] == ["unimodal"]
    for modality in Modality:
        by_words = build_run("nano", overrides=[*run.words, *unimodal_words(modality)])
        made = unimodal_config(build_run("nano", overrides=run.words), modality)
        assert by_words == made
        assert train_fingerprint(made) != train_fingerprint(build_run("nano"))
        assert by_words.train.learned(Task.T2AV) == (modality,)
