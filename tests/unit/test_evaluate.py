"""The evaluation's order of work: what a kill between two steps leaves, and what a rejected feature stops."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalog_rows import open_catalog
from scored_clips import scored

from tasks import evaluate
from tasks.stage import StageSummary
from uniform_core.build import build_run
from uniform_core.corpus.evaluation import WantedScore
from uniform_core.corpus.inputs import current_clips
from uniform_core.errors import WorkFailedError
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import Score
from uniform_core.progress import silent
from uniform_core.settings import Settings


def nothing_to_do(stage: str, *, candidates: int = 0, failed: int = 0) -> StageSummary:
    done = candidates - failed
    return StageSummary(stage, candidates, 0, done, failed, 0, wall_s=0.0, cpu_s=0.0, by_error_class={"odd": failed})


def no_value(wanted: WantedScore) -> Score:
    metric = wanted.metric
    names = {"protocol": metric.protocol.name, "protocol_hash": metric.protocol_hash}
    return Score(metric.name, None, None, None, n_generated=0, n_reference=0, reason="no clips", **names)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run with a model and no clips: everything before the scores says that it is done."""
    config, catalog = build_run("nano"), open_catalog(tmp_path)
    monkeypatch.setattr(evaluate, "trained_model", lambda _: SimpleNamespace(model_id=digest("model")))
    monkeypatch.setattr(evaluate, "run_instruments", lambda _: nothing_to_do("instruments"))
    monkeypatch.setattr(evaluate, "run_features", lambda *_: nothing_to_do("features"))
    monkeypatch.setattr(
        evaluate.Evaluation, "score", lambda _, wanted: [scored(item, no_value(item)) for item in wanted]
    )
    monkeypatch.setattr(evaluate.Evaluation, "_inputs", SimpleNamespace(fingerprints=defaultdict(str)))
    clips = current_clips(catalog, config, listed=())
    named = {"config": config, "catalog": catalog, "settings": Settings(home=tmp_path), "clips": lambda: clips}
    return SimpleNamespace(**named, run_id="a run", listener=silent)


def test_a_run_that_dies_before_mlflow_knows_its_scores_tells_them_the_next_time(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "log_evaluation", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluate.run_evaluate(context)
    monkeypatch.setattr(evaluate, "log_evaluation", lambda _, __, rows: told.append(len(rows)))
    monkeypatch.setattr(evaluate, "is_logged", lambda *_: bool(told))
    for _ in range(2):
        evaluate.run_evaluate(context)
    written = context.catalog.query("SELECT count(*) AS n FROM scores")["n"][0].as_py()
    assert told == [written], "told once, and not again when all is there"
    assert written > 50


def test_there_is_no_score_over_a_part_of_the_features(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "run_features", lambda *_: nothing_to_do("features", candidates=1000, failed=1))
    with pytest.raises(WorkFailedError, match="at most 0% of 1000 items rejected"):
        evaluate.run_evaluate(context)
    assert not context.catalog.query("SELECT * FROM scores").num_rows
