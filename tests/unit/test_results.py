"""What MLflow has of a model and its evaluations: whose parameters, which numbers, and how often."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa
import pytest
from catalog_rows import clip_row, open_catalog, sha, stamp
from scored_clips import scored
from services import seed_tracking

from tasks import evaluate, results, stills
from tasks.results import evaluation_of_run, log_report, mlflow_runs, model_run
from tasks.stage import StageSummary
from tasks.telling import config_tags
from tasks.tracking import TrackedRun, Tracker
from uniform_core.build import build_run
from uniform_core.corpus.evaluation import System, WantedScore
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.proof import proof_of
from uniform_core.errors import IntegrityError
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import Score
from uniform_core.progress import silent
from uniform_core.settings import Settings
from uniform_core.types import Task

MODEL = digest("model")
FRECHET, WITHOUT_VALUE = "fvd.tinyvideo.uniform_tiny", "class_accuracy"
Evaluate = Callable[..., list[StageSummary]]


def made_up(wanted: WantedScore) -> Score:
    """A number with an interval for every metric but one, which cannot be computed."""
    metric = wanted.metric
    has_value = not metric.name.startswith(WITHOUT_VALUE)
    value, low, high = (1.5, 1.25, 1.75) if has_value else (None, None, None)
    names = {"protocol": metric.protocol.name, "protocol_hash": metric.protocol_hash}
    reason = None if has_value else "no clips"
    return Score(metric.name, value, low, high, n_generated=12, n_reference=9, reason=reason, **names)


@pytest.fixture
def settings(tmp_path: Path, tracking_template: Path) -> Settings:
    seed_tracking(tracking_template, tmp_path / "home")
    return Settings(home=tmp_path / "home")


@pytest.fixture
def evaluated(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Evaluates the preset nano with these overrides: the real scoring, catalog and MLflow, with numbers made up."""
    monkeypatch.setattr(evaluate, "trained_model", lambda _: SimpleNamespace(model_id=MODEL))
    for stage in ("run_instruments", "run_features"):
        nothing = StageSummary.complete(stage, 0, done=0, wall_s=0.0, cpu_s=0.0)
        monkeypatch.setattr(evaluate, stage, lambda *_, nothing=nothing: nothing)
    monkeypatch.setattr(
        evaluate.Evaluation, "score", lambda _, wanted: [scored(item, made_up(item)) for item in wanted]
    )
    monkeypatch.setattr(evaluate.Evaluation, "_inputs", SimpleNamespace(fingerprints=defaultdict(str)))
    catalog = open_catalog(settings.home)

    def run(*overrides: str, catalog: Any = catalog, used: Settings = settings) -> list[StageSummary]:
        config = build_run("nano", overrides=list(overrides))
        clips = current_clips(catalog, config, listed=())
        named = {"config": config, "catalog": catalog, "settings": used, "clips": lambda: clips, "run_id": "a run"}
        context: Any = SimpleNamespace(**named, listener=silent)
        return evaluate.run_evaluate(context)

    return run


@pytest.fixture
def trained(settings: Settings) -> str:
    """The MLflow run of the model's training."""
    with model_run(settings, model_id=MODEL, config=build_run("nano"), tags={"uniform.train.versions": "{}"}) as run:
        run.log_metrics({"loss": 1.0})
    return run.run_id


def runs_of(settings: Settings, *, kind: str = "evaluation") -> list[Any]:
    """The runs that MLflow has, oldest first."""
    tracker = Tracker.open(settings)
    return list(
        tracker._client.search_runs(
            [tracker._experiment_id], f'tags.`uniform.kind` = "{kind}"', order_by=["attributes.start_time ASC"]
        )
    )


def artifact_path(run: Any, name: str) -> Path:
    return Path(urlparse(run.info.artifact_uri).path) / name


def artifact(run: Any, name: str) -> Any:
    return json.loads(artifact_path(run, name).read_text())


def test_two_evaluations_of_one_model_are_two_children_of_its_run_each_with_its_own_parameters(
    evaluated: Evaluate, settings: Settings, trained: str
) -> None:
    scales = ("7.0", "2.0")
    for scale in scales:
        evaluated(f"sample.guidance.text_scale={scale}")
    runs = runs_of(settings)
    assert tuple(run.data.params["sample.guidance.text_scale"] for run in runs) == scales
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {trained}
    assert {run.data.tags["uniform.model_id"] for run in runs} == {MODEL}
    assert len({run.data.tags["uniform.evaluation"] for run in runs}) == 2
    assert {run.info.status for run in runs} == {"FINISHED"}
    (model,) = runs_of(settings, kind="model")
    assert set(model.data.metrics) == {"loss"}, "no number of an evaluation"
    assert not {tag for tag in model.data.tags if tag.startswith("uniform.evaluation")}


def test_going_back_to_the_first_evaluation_finds_its_run_and_tells_nothing(
    evaluated: Evaluate, settings: Settings, trained: str
) -> None:
    for words in ([], ["evaluate.clips_per_task=3"]):
        evaluated(*words)
    before = [(run.info.run_id, run.info.end_time) for run in runs_of(settings)]
    (done,) = evaluated()
    assert (done.stage, done.done) == ("evaluate", 0)
    assert [(run.info.run_id, run.info.end_time) for run in runs_of(settings)] == before
    assert len(before) == 2


def test_another_mlflow_is_told_what_the_catalog_has_in_runs_that_stand_alone(
    evaluated: Evaluate, settings: Settings, trained: str, tracking_template: Path, tmp_path: Path
) -> None:
    evaluated()
    (told,) = runs_of(settings)
    seed_tracking(tracking_template, tmp_path / "other")
    other = settings.model_copy(update={"mlflow_uri": f"sqlite:///{tmp_path / 'other/mlflow.db'}"})
    place = f"file://{tmp_path / 'other/artifacts'}"
    Tracker.open(settings)._client.__class__(other.tracking_uri).create_experiment("uniform", artifact_location=place)
    for stages in (["evaluate", "tracking"], ["evaluate"]):
        assert [summary.stage for summary in evaluated(used=other)] == stages
    (again,) = runs_of(other)
    assert again.data.metrics == told.data.metrics
    assert again.data.params == told.data.params
    assert artifact(again, "scores.json") == artifact(told, "scores.json")
    assert "mlflow.parentRunId" not in again.data.tags
    assert mlflow_runs(other, build_run("nano"), MODEL, artifact(again, "scores.json")) == {
        "evaluation": again.info.run_id
    }
    assert mlflow_runs(settings, build_run("nano"), MODEL, artifact(told, "scores.json")) == {
        "evaluation": told.info.run_id,
        "model": trained,
    }


def test_a_telling_that_was_killed_is_told_again_from_the_catalog(evaluated: Evaluate, settings: Settings) -> None:
    evaluated()
    (told,) = runs_of(settings)
    Tracker.open(settings)._client.set_terminated(told.info.run_id, status="KILLED")
    for stages in (["evaluate", "tracking"], ["evaluate"]):
        assert [summary.stage for summary in evaluated()] == stages
    (again,) = runs_of(settings)
    assert (again.info.run_id, again.info.status) == (told.info.run_id, "FINISHED")


def test_a_kill_between_mlflow_and_the_catalog_ends_with_one_run(evaluated: Evaluate, settings: Settings) -> None:
    catalog = open_catalog(settings.home)
    insert = catalog.insert

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    catalog.insert = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        evaluated(catalog=catalog)
    catalog.insert = insert  # type: ignore[method-assign]
    evaluated(catalog=catalog)
    (run,) = runs_of(settings)
    kept = {row["work_key"]: str(row["created_at"]) for row in catalog.read("scores").to_pylist()}
    told = {row["work_key"]: row["created_at"] for row in artifact(run, "scores.json")}
    assert told == kept, "it was told once more"
    assert len(kept) > 50


@pytest.mark.parametrize("dies_in", ["log_json", "log_metrics", "log_data"])
def test_a_kill_among_what_mlflow_is_told_ends_with_one_whole_run(
    dies_in: str, evaluated: Evaluate, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrackedRun, dies_in, dies)
        with pytest.raises(KeyboardInterrupt):
            evaluated()
    evaluated()
    (run,) = runs_of(settings)
    assert run.info.status == "FINISHED"
    assert len(run.inputs.dataset_inputs) == 3
    assert artifact(run, "scores.json")
    assert run.data.metrics[f"t2av/{FRECHET}"] == 1.5


def test_a_number_has_its_interval_and_how_many_clips_it_stands_on_and_none_has_only_its_reason(
    evaluated: Evaluate, settings: Settings
) -> None:
    evaluated()
    (run,) = runs_of(settings)
    name = f"untrained/t2av/{FRECHET}"
    of_it = {key.removeprefix(name): value for key, value in run.data.metrics.items() if key.startswith(name)}
    assert of_it == {"": 1.5, ".low": 1.25, ".high": 1.75, ".n_generated": 12.0}
    without = [row for row in artifact(run, "scores.json") if row["value"] is None]
    assert {row["reason"] for row in without} == {"no clips"}
    assert not [key for key in run.data.metrics if f"/{WITHOUT_VALUE}" in key]
    assert {key for key in run.data.metrics if "v2a/loss_gap" in key and key.endswith(".n_generated")} == set()
    assert "v2a/loss_gap.model.uniform_tiny" in run.data.metrics, "it speaks of the model, so of no clips"


def test_the_verdict_of_the_gate_is_a_tag_with_what_failed_and_the_numbers_are_metrics(
    evaluated: Evaluate, settings: Settings
) -> None:
    evaluated()
    (run,) = runs_of(settings)
    tags = run.data.tags
    proof = proof_of(build_run("nano"), artifact(run, "scores.json"))
    assert proof.verdict == "failed"
    asked_less = "12 clips a task, 9 real clips beside them, 2 of 6 classes, feature nets of another training"
    assert tags["uniform.gate"] == f"failed, by a narrower gate: {asked_less}"
    failed = tags["uniform.gate.failed"].split(", ")
    assert "t2av no more diversity.tinymel" not in failed, "1.5 is the bound"
    assert "t2av few near copies.melsketch" in failed
    assert "t2av class.tinyvideo" in tags["uniform.gate.not_computed"]
    assert tags["uniform.gate.controls"].endswith(f"of {len(proof.refusals)} refused")
    assert run.data.metrics["gate/t2av/few near copies.melsketch"] == 1.5
    judged = [check for check in proof.checks if check.found is not None]
    assert len([name for name in run.data.metrics if name.startswith("gate/")]) == len(judged)
    table = list(csv.DictReader(artifact_path(run, "gate.csv").read_text().splitlines()))
    assert [row["verdict"] for row in table] == [str(check.verdict) for check in proof.checks]
    controls = list(csv.DictReader(artifact_path(run, "controls.csv").read_text().splitlines()))
    assert len(controls) == len(proof.refusals)


def test_other_bounds_of_the_gate_are_a_verdict_of_their_own(evaluated: Evaluate, settings: Settings) -> None:
    evaluated()
    summaries = evaluated("evaluate.gate.copied_share=1.0")
    assert [summary.stage for summary in summaries] == ["evaluate", "tracking"]
    first, second = runs_of(settings)
    assert "copied_share" not in second.data.tags["uniform.gate.failed"]
    assert first.data.tags["uniform.gate.bounds"] != second.data.tags["uniform.gate.bounds"]
    assert second.data.params["evaluate.gate.copied_share"] == "1.0"


def test_the_page_of_an_evaluation_is_told_once_and_again_where_it_changed(
    evaluated: Evaluate, settings: Settings, tmp_path: Path
) -> None:
    page, config = tmp_path / "report-of-now.html", build_run("nano")
    page.write_text("<p>first")
    evaluated()
    (run,) = runs_of(settings)
    rows = artifact(run, "scores.json")
    assert log_report(settings, config, MODEL, rows, page=page)
    place = artifact_path(run, "report.html")
    told_at = place.stat().st_mtime_ns
    assert not log_report(settings, config, MODEL, rows, page=page)
    assert (place.read_text(), place.stat().st_mtime_ns) == ("<p>first", told_at)
    page.write_text("<p>second")
    assert log_report(settings, config, MODEL, rows, page=page)
    assert place.read_text() == "<p>second"
    assert [(one.info.run_id, one.info.status) for one in runs_of(settings)] == [(run.info.run_id, "FINISHED")]
    assert [summary.stage for summary in evaluated()] == ["evaluate"], "and the scores stay told"


def test_a_kill_between_the_page_and_its_tag_tells_the_page_again(
    evaluated: Evaluate, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    page, config = tmp_path / "report.html", build_run("nano")
    page.write_text("<p>")
    evaluated()
    (run,) = runs_of(settings)
    rows = artifact(run, "scores.json")
    with monkeypatch.context() as patched:
        patched.setattr(TrackedRun, "set_tags", dies)
        with pytest.raises(KeyboardInterrupt):
            log_report(settings, config, MODEL, rows, page=page)
    assert log_report(settings, config, MODEL, rows, page=page)
    assert not log_report(settings, config, MODEL, rows, page=page)


def test_no_run_of_these_scores_takes_no_page(settings: Settings, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>")
    row = {"stage_fp": "a", "work_key": digest("b")}
    assert not log_report(settings, build_run("nano"), MODEL, [row], page=page)
    assert runs_of(settings) == []


def test_an_evaluation_says_what_it_stands_on(evaluated: Evaluate, settings: Settings) -> None:
    evaluated()
    (run,) = runs_of(settings)
    (row, *_) = open_catalog(settings.home).rows("SELECT stage_fp, data_digest, versions FROM scores")
    tags = run.data.tags
    assert tags["uniform.evaluation"] == row["stage_fp"]
    assert tags["uniform.evaluation.data_digest"] == row["data_digest"]
    assert tags["uniform.evaluation.versions"] == row["versions"]
    assert tags["uniform.run_id"] == "a run"
    assert (tags["uniform.preset"], tags["uniform.data"]) == ("nano", build_run("nano").data.name)
    said = [{tag.key: tag.value for tag in data.tags} for data in run.inputs.dataset_inputs]
    digest_of = {tags["mlflow.data.context"]: tags["content_digest"] for tags in said}
    assert digest_of == {"evaluation": row["data_digest"], **dict.fromkeys(("conditions", "reference"), "0" * 64)}
    names = {data.dataset.name for data in run.inputs.dataset_inputs}
    of = build_run("nano").data.name
    assert names == {"evaluation", f"{of}, held_out", f"{of}, train"}


def test_an_evaluation_is_searched_by_task_dataset_corpus_codec_sampler_and_checkpoint(
    evaluated: Evaluate, settings: Settings
) -> None:
    weights = sha("weights")
    model = {"model_id": MODEL, "kind": "uniform", "path": f"{MODEL}/model", "weights_sha256": weights, "steps": 8}
    model |= {"parameters": 7, "data_digest": sha("data"), "versions": "{}", "metrics": "{}"}
    open_catalog(settings.home).insert("models", [stamp(work_key=MODEL, **model)])
    evaluated("sample.sampler.steps=3")
    (run,) = runs_of(settings)
    tags = {name.removeprefix("uniform."): value for name, value in run.data.tags.items()}
    assert tags["tasks"] == "t2av, a2v, v2a"
    assert tags["data"] == build_run("nano").data.name
    assert (tags["captioners"], "corpus" in tags) == ("sidecar, class_label", False)
    assert (tags["codec.video"], tags["codec.audio"]) == ("dct_video", "dct_mel")
    assert tags["sampler"].startswith("T2AV: 3 steps, euler")
    assert "; A2V: 2 steps, ddim" in tags["sampler"]
    assert (tags["checkpoint"], tags["checkpoint.sha256"], tags["checkpoint.steps"]) == (f"{MODEL}/model", weights, "8")


def test_an_evaluation_of_a_named_corpus_is_searched_by_it() -> None:
    config = build_run("nano", overrides=["corpus=main"])
    assert config_tags(config)["uniform.corpus"] == "main"


def test_runs_of_a_sweep_are_nested_in_it_and_found_by_it(evaluated: Evaluate, settings: Settings) -> None:
    sweep = "5" * 32
    within = settings.model_copy(update={"mlflow_parent": sweep})
    with model_run(within, model_id=MODEL, config=build_run("nano"), tags={}) as run:
        pass
    evaluated(used=within)
    (model,), (evaluation,) = runs_of(settings, kind="model"), runs_of(settings)
    assert model.data.tags["mlflow.parentRunId"] == sweep
    assert evaluation.data.tags["mlflow.parentRunId"] == run.run_id
    assert {one.data.tags["uniform.sweep"] for one in (model, evaluation)} == {sweep}


def test_an_mlflow_run_leads_back_to_its_evaluation_and_a_models_to_the_model(
    evaluated: Evaluate, settings: Settings, trained: str
) -> None:
    evaluated()
    (run,) = runs_of(settings)
    assert evaluation_of_run(settings, run.info.run_id) == run.data.tags["uniform.evaluation"]
    assert evaluation_of_run(settings, trained) == MODEL
    assert evaluation_of_run(settings, "0" * 32) is None


def test_other_metrics_of_the_same_clips_are_a_run_of_their_own(evaluated: Evaluate, settings: Settings) -> None:
    """Their digest is the same, and the list of metrics is a parameter that a run cannot change."""
    evaluated()
    config = build_run("nano")
    fewer = json.dumps([metric.model_dump(mode="json") for metric in config.evaluate.metrics[:2]])
    evaluated(f"evaluate.metrics={fewer}")
    every, some = runs_of(settings)
    assert every.data.tags["uniform.evaluation"] == some.data.tags["uniform.evaluation"]
    assert len(artifact(some, "scores.json")) < len(artifact(every, "scores.json"))
    assert "evaluate.metrics.2.kind" in every.data.params.keys() - some.data.params.keys()


def test_a_training_that_goes_on_finds_its_own_run_and_not_an_evaluations(
    evaluated: Evaluate, settings: Settings, trained: str
) -> None:
    evaluated()
    with model_run(settings, model_id=MODEL, config=build_run("nano"), tags={}) as run:
        assert run.run_id == trained


def test_a_sample_clip_without_its_file_is_told_before_a_run_is_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clip_row(1)
    row = {"path": "generated/gone.mp4", "task": "t2av", "clip_id": clip["clip_id"]}
    monkeypatch.setattr(stills, "current_generations", lambda *_, **__: {System("uniform", Task.T2AV): [row]})
    context: Any = SimpleNamespace(
        settings=settings, config=build_run("nano"), catalog=None, clips=lambda: pa.Table.from_pylist([clip])
    )
    with pytest.raises(IntegrityError, match=r"gone\.mp4.*verify --repair"):
        results.log_evaluation(context, MODEL, [])
    assert runs_of(settings) == []
