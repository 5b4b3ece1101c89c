"""Commands that work: the pipeline, and each stage alone, as Prefect flows in this process."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from flows.cli.licences import say_licences
from flows.cli.plan import plan
from flows.cli.show import print_json, seconds, size, table
from flows.listing import list_data
from flows.outcome import Outcome, column_of, nets_remark, outcome_of
from flows.proof import proof_json, proof_text
from tasks.preflight import require_parts
from tasks.stage import StageFailedError
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.caption_pointer import pinned
from uniform_core.corpus.fetching import has_indexes
from uniform_core.corpus.samples import current_model_id, require_trained
from uniform_core.errors import WorkFailedError
from uniform_core.metrics.gate import CONTROLS
from uniform_core.settings import Settings, ensure_home, load_settings

# What Prefect says of itself is for its own logs; a person sees progress, one table, and one paragraph where it fails.
QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"}

RUN_HAS = {"evaluation": "these scores", "model": "the training of their model"}  # by the names of `mlflow_runs`
# What is done after the stages with what they have made: more for the JSON value, and lines for people.
Afterwards = Callable[[Catalog, RunConfig], tuple[dict[str, Any], list[str]]]
AFTER_TRAINING = frozenset({"sample", "evaluate"})
ANY_MODEL = "SELECT 1 FROM models WHERE kind = 'uniform' LIMIT 1"


def run(arguments: argparse.Namespace) -> int:
    """The whole pipeline, or the stages that `--only` names, in their order."""
    return _work(arguments, arguments.only)


def stage(arguments: argparse.Namespace, *, afterwards: Afterwards | None = None) -> int:
    """One stage alone; of an index, `ingest` has the files fetched first. `afterwards` is done once the stage is."""
    only = ["fetch", "ingest"] if arguments.command == "ingest" else [arguments.command]
    return _work(arguments, only, afterwards=afterwards)


def _work(arguments: argparse.Namespace, only: list[str] | None, *, afterwards: Afterwards | None = None) -> int:
    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    if only == ["fetch", "ingest"] and not has_indexes(config):
        only = ["ingest"]
    if arguments.dry_run:
        arguments.stage = only
        return plan(arguments)
    settings = load_settings()
    # What is certain to fail is told before any service starts, and a root of a newer format before it is written to.
    list_data(settings, config)
    require_parts(config, stages=only)
    catalog = Catalog.open(settings)
    ensure_home(settings)
    config = pinned(catalog, config)
    require_model(catalog, config, only)
    say_licences(config, only)
    started = time.monotonic()
    pins = [] if config.corpus is None else [f"corpus={json.dumps(config.corpus)}"]
    try:
        summaries = _as_flows(settings, only, (arguments.preset, [*arguments.overrides, *pins], arguments.data))
    except StageFailedError as error:  # what became of its items is what a person needs now
        did = [error.summary.as_dict()]
        print_json({"stages": did}) if arguments.json else print("\n" + stages_text(did))
        raise
    wall_s = time.monotonic() - started
    more, lines = ({}, []) if afterwards is None else afterwards(catalog, config)
    evaluated = only is None or "evaluate" in only
    outcome = outcome_of(settings, config, ask_mlflow=evaluated)
    remark = nets_remark(config)
    if arguments.json:
        proof = {"gate": proof_json(outcome.proof), "remark": remark} if outcome.scores else {}
        said = {"scores": outcome.scores, **proof, "paths": outcome.paths, "mlflow_runs": outcome.mlflow_runs}
        print_json({"wall_s": wall_s, "stages": summaries, **said, **more})
        return 0
    print("\n" + stages_text(summaries))
    if outcome.scores and evaluated:
        print("\n" + results_text(outcome, remark))
    print()
    for name, place in outcome.paths.items():
        print(f"{name:<9} {place}")
    for name, run_id in outcome.mlflow_runs.items():
        print(f"{'':<9} run {run_id}: {RUN_HAS[name]}")
    if not any(summary["done"] or summary["failed"] for summary in summaries):
        print("\nnothing was left to do: everything is as the last run made it")
    print("\n".join(["", *lines, f"done in {seconds(wall_s)}"]))
    return 0


def require_model(catalog: Catalog, config: RunConfig, only: Sequence[str] | None) -> None:
    """Raises WorkFailedError where stages need a model that is not there, and that none of them will train."""
    if only is None or "train" in only or AFTER_TRAINING.isdisjoint(only):
        return
    if AFTER_TRAINING.issuperset(only):
        require_trained(catalog, current_model_id(catalog, config))
    elif not catalog.rows(ANY_MODEL):  # which one it must be, the stages before may change
        raise WorkFailedError(
            "uniform run --only " + " ".join(only),
            expected="a trained model",
            found="none in the catalog",
            fix="Add `train`.",
        )


def _as_flows(
    settings: Settings, only: list[str] | None, words: tuple[str, list[str], str | None]
) -> list[dict[str, Any]]:
    """The summaries of the stages, each run as a Prefect flow in this process."""
    evaluates, is_new = only is None or "evaluate" in only, not settings.prefect_dir.exists()
    with prefect_running(settings, trains=only is None and is_new, evaluates=evaluates):
        from flows.pipeline import pipeline
        from flows.stages import STAGE_FLOWS

        if only is None:
            return list(pipeline(*words))
        return [row for name, flow in STAGE_FLOWS.items() if name in only for row in flow(*words)]


@contextlib.contextmanager
def prefect_running(settings: Settings, *, trains: bool, evaluates: bool) -> Iterator[None]:
    """A Prefect that flows of this process run in, and that says nothing of itself to a person."""
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    from flows.server import prefect_server  # here: `--dry-run` needs neither Prefect nor torch

    with prefect_server(settings, meanwhile=lambda: _get_ready(settings, trains=trains, evaluates=evaluates)):
        yield


def _get_ready(settings: Settings, *, trains: bool, evaluates: bool) -> None:
    """Import the flows while their server starts, and what training and MLflow would be waited for later.

    A server takes five seconds of one core, so that the other has time for this. In a home that was used before, often
    nothing is left to train; whether MLflow has its scores is asked every time.
    """
    import_module("flows.pipeline")
    if trains:
        from tasks.ray_session import import_ray_train

        import_ray_train()
    if evaluates:
        from tasks.tracking import Tracker

        Tracker.open(settings)


def stages_text(summaries: list[dict[str, Any]]) -> str:
    """The table of the stages, and below it what else they say."""
    further = [
        f"{title}\n{table(rows)}" for summary in summaries for title, rows in summary.get("tables", {}).items() if rows
    ]
    return "\n\n".join([_stage_table(summaries), *further, *(s["note"] for s in summaries if s["note"])])


def _stage_table(summaries: list[dict[str, Any]]) -> str:
    return table(
        [
            {
                "stage": summary["stage"],
                "items": summary["candidates"],
                "before": summary["already_done"],
                "done": summary["done"],
                "rejected": summary["failed"] + summary["waiting"],
                "written": size(summary["bytes"]),
                "wall s": round(summary["wall_s"], 1),
                "CPU s": round(summary["cpu_s"], 1),
                "why rejected": ", ".join(f"{n} {name}" for name, n in summary["by_error_class"].items()),
            }
            for summary in summaries
        ]
    )


def results_text(outcome: Outcome, remark: str | None) -> str:
    """The scores as a table, the main ones in words, the gate, and what is to be known of the nets behind them."""
    parts = [_score_table(outcome.scores), "\n".join(outcome.headlines), proof_text(outcome.proof), remark]
    return "\n\n".join(part for part in parts if part is not None)


def _score_table(scores: list[dict[str, Any]]) -> str:
    """One line a metric; a column for each task of the model, and for each baseline. Controls are in the gate's."""
    scores = [score for score in scores if score["system"] not in CONTROLS]
    columns = list(dict.fromkeys(column_of(score) for score in scores))
    by_name: dict[str, dict[str, Any]] = {}
    for score in scores:
        by_name.setdefault(score["name"], {"score": score["name"]})[column_of(score)] = score["value"]
    return table(list(by_name.values()), ["score", *columns])
