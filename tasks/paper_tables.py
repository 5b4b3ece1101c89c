"""What MLflow is told of a table of the paper: a run for the table, and below it one for each condition.

The evaluations that the numbers are of have runs of their own, below the model's; a condition's run names its scores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.results import KIND_TAG, LOCK, MODEL_TAG, PARENT_TAG
from tasks.tracking import TrackedRun, Tracker
from uniform_core.config import RunConfig
from uniform_core.files import lock
from uniform_core.fingerprint import digest
from uniform_core.paper_tables import Condition, Measured
from uniform_core.settings import Settings

TABLE_TAG, SCORES_TAG, CONDITION_TAG = "uniform.table", "uniform.table.scores", "uniform.table.condition"


@dataclass(frozen=True)
class ToldCondition:
    """A condition, the run config that served it, and its numbers."""

    condition: Condition
    config: RunConfig
    numbers: tuple[Measured, ...]


def log_table(
    settings: Settings,
    *,
    number: str,
    model_id: str,
    stands_on: str,
    conditions: Sequence[ToldCondition],
    documents: Mapping[str, str],
    comparable: int,
) -> str:
    """The id of the table's run, new or gone on with: its documents as artifacts, its conditions as nested runs.

    Raises ServiceError.
    """
    tracker = Tracker.open(settings)
    own = {KIND_TAG: "table", TABLE_TAG: number, MODEL_TAG: model_id, SCORES_TAG: stands_on}
    with lock(settings.checkpoints_dir / model_id / LOCK, shared=False):  # two drivers would make two runs
        with tracker.run(
            f"table-{number}-{model_id[:8]}", params={"table": number}, tags=own, run_id=tracker.find(own)
        ) as run:
            for told in conditions:
                _log_condition(tracker, run, told, own)
            run.log_metrics({"printed_values_that_compare": float(comparable)})
            with tempfile.TemporaryDirectory(prefix="uniform-mlflow-") as folder:
                for name, text in documents.items():
                    Path(folder, name).write_text(text, "utf-8")
                run.log_file(Path(folder))
        return run.run_id


def _log_condition(tracker: Tracker, parent: TrackedRun, told: ToldCondition, table: Mapping[str, str]) -> None:
    condition = told.condition
    tags = {
        **table,
        KIND_TAG: "table-condition",
        PARENT_TAG: parent.run_id,
        CONDITION_TAG: digest(asdict(condition)),
        "uniform.preset": told.config.preset,
        "uniform.data": told.config.data.name,
    }
    params = {name: str(value) for name, value in asdict(condition).items() if value is not None}
    found = tracker.find({name: tags[name] for name in (KIND_TAG, PARENT_TAG, CONDITION_TAG)})
    with tracker.run(_name(condition), params=params, tags=tags, run_id=found) as run:
        run.log_metrics(dict(_metrics(told)))


def _metrics(told: ToldCondition) -> list[tuple[str, float]]:
    """The numbers with the ends of their intervals; none of one that could not be computed."""
    return [
        (f"{number.name}{end}", value)
        for number in told.numbers
        for end, value in (("", number.value), (".low", number.low), (".high", number.high))
        if number.value is not None and value is not None
    ]


def _name(condition: Condition) -> str:
    """A condition in a few words, such as `v2a vggsound, text, 10 steps`."""
    parts = [f"{condition.task} {condition.dataset}", "text" if condition.with_text else "no text"]
    parts += [] if condition.is_joint else ["unimodal"]
    parts += [] if condition.steps is None else [f"{condition.steps} steps"]
    parts += [] if condition.guidance is None else [f"guidance {condition.guidance:g}"]
    return ", ".join(parts)
