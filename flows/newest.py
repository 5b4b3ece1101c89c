"""The newest model of a config, or the newest checkpoint of its training: scored, and promoted where a rule holds."""

from __future__ import annotations

from dataclasses import replace

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.cli.promote import rule_of
from flows.context import run_context
from flows.stages import Summaries, evaluate, sample, show_failure, shown
from tasks.context import RunContext
from tasks.evaluate import run_evaluate
from tasks.holder import holder_context
from tasks.promote import REGISTERED, Promotion, promote
from tasks.sample import run_sample
from tasks.snapshot import Snapshot, newest_snapshot
from tasks.stage import StageSummary
from uniform_core.corpus.samples import current_model_id, is_trained
from uniform_core.errors import UniformError

SUMMARY = "newest-summary"  # the artifact of what was done of a checkpoint


@flow(name="evaluate-newest")
def evaluate_newest(
    preset: str = "tiny",
    overrides: list[str] = [],  # noqa: B006  (Prefect reads the default into the deployment's schema)
    data: str | None = None,
    alias: str | None = "champion",
    better: list[str] = [],  # noqa: B006
    not_worse: list[str] = [],  # noqa: B006
) -> Summaries:
    """Score the model that this config gives now, or the newest checkpoint of its training, and promote it where its
    gate is passed and its scores are as asked.

    What was scored before is not scored again. Who has the alias is scored too, where that was not done on the clips of
    now. Without an alias nothing is promoted; without a checkpoint there is nothing to do.

    Raises ConfigError for a rule that is none before anything is done; IntegrityError where no checkpoint is whole.
    """
    rule = rule_of(gate=True, better=better, not_worse=not_worse)
    with run_context(preset, overrides, data) as context:
        model_id = current_model_id(context.catalog, context.config, clips=context.clips())
        if is_trained(context.catalog, model_id):
            rows = [*sample(preset, overrides, data), *evaluate(preset, overrides, data)]
        else:
            snapshot = _snapshot(context)
            if snapshot is None:
                _say_nothing(model_id)
                return []
            model_id = snapshot.model_id
            rows = _scored(replace(context, model_id=model_id), "score the newest checkpoint")
            _show_scored(snapshot, rows)
        if alias is not None:
            holder = holder_context(context, alias=alias, name=REGISTERED, candidate=model_id)
            rows += [] if isinstance(holder, str) else _scored(holder, "score who has the alias")
            settings, catalog, config = context.settings, context.catalog, context.config
            _show(promote(settings, catalog, config, model_id=model_id, rule=rule, alias=alias))
        return rows


def _snapshot(context: RunContext) -> Snapshot | None:
    """The newest checkpoint, or its reason is left for people to see."""
    try:
        return newest_snapshot(context)
    except UniformError as error:
        show_failure(SUMMARY, error, description="Why no checkpoint was scored.")
        raise


def _scored(context: RunContext, name: str) -> Summaries:
    """Make and score the clips of the model that a context names, as one Prefect task."""
    score = task(name=name, cache_policy=None)(lambda: [*run_sample(context), *run_evaluate(context)])
    done: list[StageSummary] = score()
    return [summary.as_dict() for summary in done]


def _show_scored(snapshot: Snapshot, rows: Summaries) -> None:
    """Which checkpoint it was, and what of its scoring was still to be done."""
    skipped = "".join(f" {note}." for note in snapshot.notes)
    create_table_artifact(
        key=SUMMARY,
        table=shown(rows),
        description=f"Model {snapshot.model_id[:12]}, the checkpoint of step {snapshot.step}.{skipped}",
    )


def _say_nothing(model_id: str) -> None:
    create_markdown_artifact(
        key="promotion",
        markdown=f"Model {model_id[:12]} is not trained yet, and its training has no checkpoint.",
        description="What became of the newest model.",
    )


def _show(found: Promotion) -> None:
    create_table_artifact(
        key="promotion",
        table=[{"asked": c.asked, "holds": str(c.holds), "found": c.found} for c in found.decision.conditions],
        description=f"{found.alias}: model {found.model_id[:12]} {found.outcome}.",
    )
