"""Numbers of single clips: what each metric keeps, when rows are written, and the queries that read them."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from catalog_rows import clip_row, open_catalog, sha
from scored_clips import CLIPS, evaluation_rows, scored

from flows.cli.main import main
from tasks import evaluate
from tasks.stage import StageSummary
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.catalog.tables import table_named
from uniform_core.corpus.clip_scores import scores_done
from uniform_core.corpus.evaluation import WantedScore, real_clips
from uniform_core.corpus.inputs import current_clips
from uniform_core.fingerprint import digest
from uniform_core.metrics import AvAlignConfig, MemorisationConfig, OnsetHitsConfig
from uniform_core.metrics.av_align import FLOW, RATE
from uniform_core.metrics.base import MEMORY, Need, Score, Side
from uniform_core.metrics.features import FeatureSet
from uniform_core.progress import silent
from uniform_core.settings import Settings

MODEL = digest("model")
README = (Path(__file__).parents[2] / "README.md").read_text()
COMMANDS = re.findall(
    r"^\.venv/bin/uniform (query (?:worst_clips|\"SELECT[^\n]*clip_scores[^\n]*\").*?)(?:   .*)?$", README, re.MULTILINE
)
KEYS = ("a", "b")


def test_av_align_keeps_how_many_onsets_and_peaks_of_motion_a_clip_has() -> None:
    config = AvAlignConfig.of("tempotokens2025", name="tiny")
    flows = [np.array([0.0, 1.0, 0.0, 1.0, 0.0]), np.zeros(5)]
    inputs = {
        FLOW: FeatureSet.of(KEYS, flows),
        RATE: FeatureSet.of(KEYS, [np.array(4.0)] * 2),
        config.needs[2]: FeatureSet.of(KEYS, [np.array([0.25]), np.array([0.5, 1.0, 1.1])]),
    }
    found = {measured.name: measured.values for measured in config.clip_measures(inputs)}
    assert found == {
        "av_align.farneback.tiny": {"a": 0.5, "b": 0.0},
        "onset_count.librosa.tiny": {"a": 1.0, "b": 3.0},
        "motion_peak_count.farneback.tiny": {"a": 2.0, "b": 0.0},
    }
    chance = config.model_copy(update={"partner": "others"})
    assert [measured.name for measured in chance.clip_measures(inputs)] == ["av_align_chance.farneback.tiny"]


def test_the_distance_to_the_nearest_training_clip_is_kept_once() -> None:
    z = MemorisationConfig.example()
    share = z.model_copy(update={"word": "copied_share"})
    need = Need(Side.GENERATED, MEMORY, "video")
    inputs = {need: FeatureSet.of(KEYS, [np.array(0.5), np.array(2.0)])}
    [measured] = share.clip_measures(inputs)
    assert (measured.name, measured.values) == ("nearest_trained.videosketch.example", {"a": 0.5, "b": 2.0})
    assert z.clip_measures(inputs) == ()


def test_a_clips_gain_of_onsets_is_kept_by_its_key() -> None:
    config = OnsetHitsConfig.example()
    onsets, events, labels = config.needs
    keys = ("a", "b", "c", "d")
    times = [np.array([0.5]), np.array([1.5]), np.array([]), np.array([0.2])]
    inputs = {
        onsets: FeatureSet.of(keys, [np.array([0.5])] * 4),
        events: FeatureSet.of(keys, times),
        labels: FeatureSet.of(keys, [np.array(label) for label in "xxxy"]),
    }
    assert config.clip_values(inputs) == {"a": 1.0, "b": -1.0}, "c has no events, d no partner"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run whose scores are made up, each metric that has single clips with three of them."""

    def made_up(wanted: WantedScore) -> Score:
        names = {"protocol": wanted.metric.protocol.name, "protocol_hash": wanted.metric.protocol_hash}
        return Score(wanted.metric.name, 1.5, None, None, n_generated=3, n_reference=3, **names)

    config, catalog = build_run("nano"), open_catalog(tmp_path)
    monkeypatch.setattr(evaluate, "trained_model", lambda _: SimpleNamespace(model_id=MODEL))
    for stage in ("run_instruments", "run_features"):
        nothing = StageSummary.complete(stage, 0, done=0, wall_s=0.0, cpu_s=0.0)
        monkeypatch.setattr(evaluate, stage, lambda *_, nothing=nothing: nothing)
    monkeypatch.setattr(
        evaluate.Evaluation, "score", lambda _, wanted: [scored(item, made_up(item)) for item in wanted]
    )
    monkeypatch.setattr(evaluate.Evaluation, "_inputs", SimpleNamespace(fingerprints=defaultdict(str)))
    monkeypatch.setattr(evaluate, "log_evaluation", lambda *_: None)
    monkeypatch.setattr(evaluate, "is_logged", lambda *_: True)
    clips = current_clips(catalog, config, listed=())
    named = {"config": config, "catalog": catalog, "settings": Settings(home=tmp_path), "clips": lambda: clips}
    return SimpleNamespace(**named, run_id="a run", listener=silent)


def done(context: Any) -> int:
    """How many scores the stage says that it made."""
    return {summary.stage: summary.done for summary in evaluate.run_evaluate(context)}["evaluate"]


def test_every_score_of_a_metric_over_clips_has_its_rows_once_and_a_way_to_the_files(context: Any) -> None:
    written = done(context)
    scores = {row["work_key"]: row for row in context.catalog.read("scores").to_pylist()}
    rows = context.catalog.read("clip_scores").to_pylist()
    assert len(scores) == written > 50
    by_score = Counter(row["score_key"] for row in rows)
    by_clip = {metric.name for metric in context.config.metrics if metric.by_clip}
    assert set(by_score) == {key for key, row in scores.items() if row["name"] in by_clip}
    assert set(by_score.values()) == {len(CLIPS)}
    for row in rows:
        score = scores[row["score_key"]]
        same = ("name", "task", "system", "model_id", "protocol_hash", "stage_fp", "run_id")
        assert {name: row[name] for name in same} == {name: score[name] for name in same}
        assert row["video_sha256"] == CLIPS[row["clip_id"]].video
    assert done(context) == 0
    assert context.catalog.read("clip_scores").num_rows == len(rows)


def test_scores_say_which_real_clips_they_were_measured_with(context: Any) -> None:
    done(context)
    assert not real_clips(context.config, context.clips())
    assert set(context.catalog.read("scores")["clips_digest"].to_pylist()) == {"0" * 64}, "of none"


def test_a_kill_between_clips_and_scores_writes_nothing_twice(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "log_evaluation", dies)
        with pytest.raises(KeyboardInterrupt):
            done(context)
    before = context.catalog.read("clip_scores").num_rows
    assert before > 0
    assert context.catalog.read("scores").num_rows == 0
    assert done(context) > 50
    assert context.catalog.read("clip_scores").num_rows == before


def test_scores_of_an_older_program_are_given_their_clips_and_stay_as_they_are(context: Any) -> None:
    done(context)
    scores = sorted(context.catalog.read("scores").to_pylist(), key=lambda row: row["work_key"])
    keys = context.catalog.read("clip_scores")["work_key"].to_pylist()
    context.catalog.delta.delete(table_named("clip_scores"), keys)
    wanted, kept = scores_done(context.catalog, context.config, model_id=MODEL, clips=context.clips())
    assert 0 < kept < wanted == len(scores), "the plan says so too"
    assert done(context) == wanted - kept
    assert context.catalog.read("clip_scores").num_rows == len(keys)
    assert sorted(context.catalog.read("scores").to_pylist(), key=lambda row: row["work_key"]) == scores
    assert done(context) == 0


def filled(catalog: Catalog) -> None:
    """An evaluation whose third clip is the worst by both measures, an older one, and one of anybody's clips."""
    catalog.insert("clips", [clip_row(n, label="drip") for n in range(3)])
    for evaluation, name, values in (
        ("a" * 32, "synchrony.tinysync.uniform_tiny", [0.9, 0.8, 0.1]),
        ("a" * 32, "kl.tinymel.uniform_tiny", [0.5, 0.1, 4.0]),
        ("a" * 32, "onset_count.librosa.uniform_tiny", [0.0, 9.0, 3.0]),
    ):
        score, clips = evaluation_rows(evaluation, name=name, values=values)
        catalog.insert("scores", [score])
        catalog.insert("clip_scores", clips)
    _, theirs = evaluation_rows("c" * 32, name="kl.cnn14_16k.av_benchmark", values=[0.5, 0.1, 4.0], system="SYSTEM")
    catalog.insert("clip_scores", theirs)
    older = clip_row(0)["created_at"].replace(year=2020)
    _, clips = evaluation_rows("b" * 32, name="kl.tinymel.uniform_tiny", values=[9.0] * 3, created_at=older)
    catalog.insert("clip_scores", clips)


def test_the_worst_clips_of_the_newest_evaluation(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    filled(catalog)
    rows = catalog.named_rows("worst_clips")
    assert rows[0]["clip_id"] == clip_row(2)["clip_id"]
    assert {row["measures"] for row in rows} == {2}, "the count says nothing of good or bad"
    assert rows[0]["badness"] == 1.0
    assert {row["badness"] for row in rows[1:]} == {0.25}
    assert {row["label"] for row in rows} == {"drip"}
    [measures] = [row for row in catalog.named_rows("clip_measures") if row["name"].startswith("synchrony")]
    assert (measures["clips"], measures["least"], measures["median"]) == (3, 0.1, 0.8)


def test_a_later_evaluation_of_one_task_leaves_the_worst_clips_of_the_others(tmp_path: Path) -> None:
    catalog, model_id = open_catalog(tmp_path), digest("one model")
    later = clip_row(0)["created_at"].replace(year=2030)
    for evaluation, task, values, when in (
        ("a" * 32, "v2a", [9.0, 1.0, 1.0], {}),
        ("a" * 32, "t2av", [1.0, 9.0, 1.0], {}),
        ("d" * 32, "v2a", [1.0, 1.0, 9.0], {"created_at": later}),
    ):
        name = f"kl.tinymel.{evaluation[0]}"
        _, clips = evaluation_rows(evaluation, name=name, values=values, task=task, model_id=model_id, **when)
        catalog.insert("clip_scores", clips)
    worst = {row["task"]: (row["clip_id"], row["worst_by"]) for row in catalog.named_rows("worst_clips")[::-1]}
    assert worst == {"v2a": (clip_row(2)["clip_id"], "kl.tinymel.d"), "t2av": (clip_row(1)["clip_id"], "kl.tinymel.a")}


@pytest.mark.parametrize("words", [shlex.split(command) for command in COMMANDS])
def test_the_readmes_queries_of_clips_find_some(
    words: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(open_catalog(home))
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["clip_id"] == clip_row(2)["clip_id"], "the worst first"
    assert len(rows) == 3


def test_a_query_of_ours_by_its_name_is_cut_where_it_is_asked_to_be(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(open_catalog(home))
    assert main(["query", "clip_measures", "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert "kl.tinymel.uniform_tiny" in out
    assert "… and more rows" in out


def test_clips_of_a_source_that_was_taken_down_have_no_numbers_any_more(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    filled(catalog)
    catalog.bury("drawn", ["source-2"], reason="asked", run_id="run")
    assert clip_row(2)["clip_id"] not in {row["clip_id"] for row in catalog.named_rows("worst_clips")}
    assert sha("made", "a" * 32, 2) not in catalog.read("clip_scores")["video_sha256"].to_pylist()
