"""What MLflow is told: one run for each trained model, with its losses, its scores, its clips and what it stands on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tasks.context import RunContext
from tasks.tracking import DataVersion, TrackedRun, Tracker
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import current_generations, in_turns
from uniform_core.settings import Settings

MODEL_TAG = "uniform.model_id"
SAMPLES_A_TASK = 6


@contextmanager
def model_run(
    settings: Settings,
    *,
    model_id: str,
    config: RunConfig,
    tags: Mapping[str, str],
    data: Sequence[DataVersion] = (),
) -> Iterator[TrackedRun]:
    """The MLflow run of a model, new or gone on with; made by training, found again by evaluation."""
    tracker = Tracker.open(settings)
    every = {MODEL_TAG: model_id, "uniform.preset": config.preset, "uniform.data": config.data.name, **tags}
    with tracker.run(
        f"{config.preset}-{config.data.name}-{model_id[:8]}",
        params=config.model_dump(mode="json"),
        tags=every,
        data=data,
        run_id=tracker.find(MODEL_TAG, model_id),
    ) as run:
        yield run


def log_evaluation(context: RunContext, model_id: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The id of the model's MLflow run, after scores and sample clips have been added to it.

    Metrics are named `task/metric.extractor.protocol`, those of baselines with the system before.
    """
    data = [
        DataVersion("evaluation", row["data_digest"], json.loads(row["versions"]), "evaluation") for row in rows[:1]
    ]
    tags = {
        "uniform.evaluation.data_digest": rows[0]["data_digest"],
        "uniform.evaluation.versions": rows[0]["versions"],
    }
    with model_run(context.settings, model_id=model_id, config=context.config, tags=tags, data=data) as run:
        run.log_metrics({_metric_name(row): row["value"] for row in rows if row["value"] is not None})
        run.log_json([{k: str(v) if k == "created_at" else v for k, v in row.items()} for row in rows], "scores.json")
        for row in _sample_files(context, model_id):
            run.log_file(context.settings.media_dir / row["path"], folder=f"samples/{row['task']}")
        return run.run_id


def _metric_name(row: Mapping[str, Any]) -> str:
    name = f"{row['task']}/{row['name']}"
    return name if row["system"] == "uniform" else f"{row['system']}/{name}"


def _sample_files(context: RunContext, model_id: str) -> list[dict[str, Any]]:
    """A few clips of each task, of different classes."""
    clips = context.clips()
    labels = dict(zip(clips["clip_id"].to_pylist(), clips["label"].to_pylist(), strict=True))
    made = current_generations(context.catalog, context.config, clips, model_id=model_id)
    chosen = []
    for system, rows in made.items():
        if system.name == "uniform":
            chosen += in_turns(rows, label_of=lambda row: labels[row["clip_id"]])[:SAMPLES_A_TASK]
    return chosen
