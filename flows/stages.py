"""The stages as Prefect flows. Each runs alone, does what is left to do, and leaves a summary artifact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.states import State

from flows.cli.show import markdown_table
from flows.context import run_context
from flows.pace import record_pace
from tasks.captions import run_captions
from tasks.context import RunContext
from tasks.encode import run_encode
from tasks.evaluate import run_evaluate
from tasks.fetch import run_fetch
from tasks.ingest import run_ingest
from tasks.sample import run_sample
from tasks.screen import run_screen
from tasks.stage import StageFailedError, StageSummary
from tasks.text import run_text
from tasks.train import run_train
from uniform_core.errors import ServiceError

# Only infrastructure is retried: what failed in the data is in the ledger, and the catalog knows what is done.
INFRASTRUCTURE_RETRIES = 1
RETRY_DELAY_S = 5.0
Summaries = list[dict[str, Any]]


def _run(
    stage: str, work: Callable[[RunContext], list[StageSummary]], words: tuple[str, list[str], str | None]
) -> Summaries:
    """Do one stage as one Prefect task, and show its summary, or why it failed."""
    try:
        rows = _work(stage, work, words)
    except Exception as error:
        why = f"Why the stage {stage} failed. What it had committed stays."
        show_failure(f"{stage}-summary", error, description=why)
        if isinstance(error, StageFailedError):
            _show_tables(stage, [error.summary.as_dict()])
        raise
    create_table_artifact(
        key=f"{stage}-summary",
        table=shown(rows),
        description=f"What the stage {stage} did.",
    )
    _show_tables(stage, rows)
    return rows


def show_failure(key: str, error: Exception, *, description: str) -> None:
    """Leave the reason of a failure as an artifact."""
    create_markdown_artifact(key=key, markdown=f"**{type(error).__name__}** {error}", description=description)


def shown(rows: Summaries) -> list[dict[str, str]]:
    """Summaries as a table for people, without the tables that they have of their own."""
    return [{name: str(value) for name, value in row.items() if name != "tables"} for row in rows]


def _show_tables(stage: str, rows: Summaries) -> None:
    """The further tables of summaries, an artifact each."""
    for title, further in (pair for row in rows for pair in row["tables"].items()):
        create_markdown_artifact(
            key=f"{stage}-{title.replace(' ', '-')}",
            markdown=markdown_table(further),
            description=f"{title}, by the stage {stage}.",
        )


def _work(
    stage: str, work: Callable[[RunContext], list[StageSummary]], words: tuple[str, list[str], str | None]
) -> Summaries:
    with run_context(*words) as context:
        # The context holds live handles, so the task closes over it: Prefect must not try to serialise it.
        do = task(
            name=stage,
            retries=INFRASTRUCTURE_RETRIES,
            retry_delay_seconds=RETRY_DELAY_S,
            retry_condition_fn=_is_infrastructure,
            cache_policy=None,
        )(lambda: work(context))
        done: list[StageSummary] = do()
        rows = [summary.as_dict() for summary in done]
        record_pace(context.settings, context.config, stage, rows)
    return rows


def _is_infrastructure(_task: object, _run: object, state: State) -> bool:
    """Whether a task failed since a service could not be reached or started."""
    return isinstance(state.data, ServiceError)


@flow(name="fetch")
def fetch(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Bring the file of every clip that an index lists."""
    return _run("fetch", run_fetch, (preset, overrides, data))


@flow(name="ingest")
def ingest(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Cut every source that is here into canonical clips; screen them where a filter asks for it."""
    return _run("ingest", lambda context: [*run_ingest(context), *run_screen(context)], (preset, overrides, data))


@flow(name="encode")
def encode(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Encode every clip into latents."""
    return _run("encode", run_encode, (preset, overrides, data))


@flow(name="captions")
def captions(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Say what is in every clip."""
    return _run("captions", run_captions, (preset, overrides, data))


@flow(name="text")
def text(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Encode every distinct caption."""
    return _run("text", run_text, (preset, overrides, data))


@flow(name="train")
def train(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Train the model."""
    return _run("train", run_train, (preset, overrides, data))


@flow(name="sample")
def sample(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Make the evaluation set."""
    return _run("sample", run_sample, (preset, overrides, data))


@flow(name="evaluate")
def evaluate(preset: str = "tiny", overrides: list[str] = [], data: str | None = None) -> Summaries:  # noqa: B006
    """Score it."""
    return _run("evaluate", run_evaluate, (preset, overrides, data))


STAGE_FLOWS = {
    "fetch": fetch,
    "ingest": ingest,
    "encode": encode,
    "captions": captions,
    "text": text,
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
}
