"""What MLflow is told: one run for each trained model, and one for each evaluation of it.

The model's run has the parameters, losses and lineage of its training. An evaluation's run has the whole config as it
was evaluated, the scores with their intervals, clips, and what they stand on. It is a child of the model's run, or
stands alone where this MLflow has no run of the model (another server was configured since the training). Where the
settings name a parent, a sweep's, models' runs are its children, and all runs have its id as the tag `uniform.sweep`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.context import RunContext
from tasks.stills import chosen_samples, write_samples
from tasks.telling import checkpoint_tags, config_tags, evaluation_tags, stands_on, training_of
from tasks.tracking import LONGEST_VALUE, DataVersion, TrackedRun, Tracker
from tasks.verdict import gate_metrics, gate_tables, gate_tags
from uniform_core.config import RunConfig
from uniform_core.corpus.proof import proof_of
from uniform_core.files import lock
from uniform_core.fingerprint import digest, set_digest
from uniform_core.metrics.layers import made_clips
from uniform_core.settings import Settings

KIND_TAG, MODEL_TAG, EVALUATION_TAG = "uniform.kind", "uniform.model_id", "uniform.evaluation"
SCORES_TAG = "uniform.evaluation.scores"  # which scores: other metrics are told by a run of their own too
BOUNDS_TAG = "uniform.gate.bounds"  # the same scores under other bounds are another verdict, told by its own run
REPORT_TAG, REPORT = "uniform.report.sha256", "report.html"
PARENT_TAG, SWEEP_TAG = "mlflow.parentRunId", "uniform.sweep"
LOCK = ".mlflow.lock"
Rows = Sequence[Mapping[str, Any]]


@contextmanager
def model_run(
    settings: Settings,
    *,
    model_id: str,
    config: RunConfig,
    tags: Mapping[str, str],
    data: Sequence[DataVersion] = (),
    facts: Mapping[str, Any] = {},
) -> Iterator[TrackedRun]:
    """The MLflow run of a model's training, new or gone on with.

    `facts` are parameters by dotted names that stand in place of the config's: what its weights say.
    """
    tracker, own = Tracker.open(settings), _model_tags(model_id)
    with tracker.run(
        _name(config, model_id),
        params=config.model_dump(mode="json") | dict(facts),
        tags={**config_tags(config), **_nested(settings, settings.mlflow_parent), **own, **tags},
        data=data,
        run_id=tracker.find(own),
    ) as run:
        yield run


def log_evaluation(context: RunContext, model_id: str, rows: Rows) -> None:
    """Tell MLflow the scores of an evaluation, with sample clips: in a new run, or once more in the one that it has.

    Metrics are named `task/metric.extractor.protocol`, those of baselines with the system before; the ends of the 95 %
    interval, the p value and the number of clips have `.low`, `.high`, `.p` and `.n_generated` after it. What the gate
    says of the scores is in tags, in metrics `gate/task/check.extractor`, and in tables.

    Raises ServiceError, and IntegrityError where a sample clip has no file.
    """
    samples = chosen_samples(context, model_id)
    tracker, config = Tracker.open(context.settings), context.config
    own = _evaluation_tags(config, model_id, rows)
    proof = proof_of(config, rows)
    with lock(context.settings.checkpoints_dir / model_id / LOCK, shared=False):  # two drivers would make two runs
        parent = tracker.find(_model_tags(training_of(context.catalog, model_id)))
        with tracker.run(
            f"{_name(config, model_id)}-evaluation-{own[EVALUATION_TAG][:8]}",
            params=config.model_dump(mode="json"),
            tags={
                **config_tags(config),
                **evaluation_tags(config),
                **checkpoint_tags(context.catalog, model_id),
                **own,
                **_lineage_tags(rows),
                **gate_tags(proof, longest=LONGEST_VALUE),
                **_nested(context.settings, parent or context.settings.mlflow_parent),
            },
            data=stands_on(context, rows),
            run_id=tracker.find(own),
        ) as run:
            run.log_metrics({name: value for row in rows for name, value in score_metrics(row)})
            run.log_metrics(dict(gate_metrics(proof)))
            run.log_json([{**row, "created_at": str(row["created_at"])} for row in rows], "scores.json")
            with tempfile.TemporaryDirectory(prefix="uniform-mlflow-") as folder:
                for name, text in gate_tables(proof):
                    Path(folder, name).write_text(text, "utf-8")
                write_samples(context, samples, Path(folder, "samples"))
                run.log_file(Path(folder))


def is_logged(settings: Settings, config: RunConfig, model_id: str, rows: Rows) -> bool:
    """Whether MLflow has a finished run of just these scores. Raises ServiceError."""
    return Tracker.open(settings).find(_evaluation_tags(config, model_id, rows), status="FINISHED") is not None


def log_report(settings: Settings, config: RunConfig, model_id: str, rows: Rows, *, page: Path) -> bool:
    """Give MLflow the page of an evaluation, as `report.html` in its run; whether it was told anything.

    It is not where its run has the same page already. Raises ServiceError.
    """
    tracker = Tracker.open(settings)
    with lock(settings.checkpoints_dir / model_id / LOCK, shared=False):
        run_id = tracker.find(_evaluation_tags(config, model_id, rows))
        if run_id is None:
            return False
        run, text = tracker.existing(run_id), page.read_bytes()
        sha256 = hashlib.sha256(text).hexdigest()
        if run.tag(REPORT_TAG) == sha256:
            return False
        with tempfile.TemporaryDirectory(prefix="uniform-mlflow-") as folder:
            named = Path(folder, REPORT)
            named.write_bytes(text)
            run.log_file(named)
        run.set_tags({REPORT_TAG: sha256})  # after the page: a kill between them tells it again
        return True


def mlflow_runs(settings: Settings, config: RunConfig, model_id: str, rows: Rows) -> dict[str, str]:
    """The ids of the runs that MLflow has of these scores (`evaluation`) and of their model (`model`).

    Raises ServiceError.
    """
    tracker = Tracker.open(settings)
    found = {
        "evaluation": tracker.find(_evaluation_tags(config, model_id, rows)),
        "model": tracker.find(_model_tags(model_id)),
    }
    return {name: run_id for name, run_id in found.items() if run_id is not None}


def evaluation_of_run(settings: Settings, run_id: str) -> str | None:
    """What the catalog knows an MLflow run by: the evaluation's id, or that of the model that was trained.

    None where MLflow has no such run, or it is of another kind. Raises ServiceError.
    """
    tags = Tracker.open(settings).tags_of(run_id)
    return tags.get(EVALUATION_TAG) or tags.get(MODEL_TAG)


def _name(config: RunConfig, model_id: str) -> str:
    return f"{config.preset}-{config.data.name}-{model_id[:8]}"


def _nested(settings: Settings, parent: str | None) -> dict[str, str]:
    """The tags that put a run below another one, and into the sweep that the settings name."""
    sweep = settings.mlflow_parent
    return ({PARENT_TAG: parent} if parent else {}) | ({SWEEP_TAG: sweep} if sweep else {})


def _model_tags(model_id: str) -> dict[str, str]:
    """What a model's run is found by."""
    return {KIND_TAG: "model", MODEL_TAG: model_id}


def _evaluation_tags(config: RunConfig, model_id: str, rows: Rows) -> dict[str, str]:
    """What an evaluation's run is found by."""
    return {
        KIND_TAG: "evaluation",
        MODEL_TAG: model_id,
        EVALUATION_TAG: rows[0]["stage_fp"],
        SCORES_TAG: set_digest(row["work_key"] for row in rows),
        BOUNDS_TAG: digest(config.evaluate.gate.model_dump(mode="json")),
    }


def _lineage_tags(rows: Rows) -> dict[str, str]:
    newest = max(rows, key=lambda row: row["created_at"])
    return {
        "uniform.run_id": newest["run_id"],
        "uniform.evaluation.data_digest": newest["data_digest"],
        "uniform.evaluation.versions": newest["versions"],
    }


def score_metrics(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """A score and what says how sure it is, by name; nothing of one without a value.

    No name goes on below another one after a `/`: where MLflow keeps metrics as files, a file cannot be a folder too.
    """
    if row["value"] is None:
        return
    name = f"{row['task']}/{row['name']}"
    name = name if row["system"] == "uniform" else f"{row['system']}/{name}"
    yield name, row["value"]
    for part, number in {**{part: row[part] for part in ("low", "high", "p")}, "n_generated": made_clips(row)}.items():
        if number is not None:
            yield f"{name}.{part}", number
