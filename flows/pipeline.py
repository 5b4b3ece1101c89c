"""The whole pipeline as one Prefect flow: each stage in its order, in one context, and the report at its end."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.context import run_context
from flows.report.files import report_path
from flows.report.write import write_report
from flows.stages import STAGE_FLOWS, Summaries
from tasks.preflight import require_parts
from tasks.results import log_report
from uniform_core.corpus.evaluation import evaluation_digest, kept_scores, wanted_scores
from uniform_core.corpus.fetching import has_indexes
from uniform_core.corpus.samples import current_model_id


@flow(name="pipeline")
def pipeline(
    preset: str = "tiny",
    overrides: list[str] = [],  # noqa: B006  (Prefect reads the default into the deployment's schema)
    data: str | None = None,
) -> Summaries:
    """From a dataset to a trained model, its clips and its scores; only what changed is done."""
    with run_context(preset, overrides, data) as context:
        require_parts(context.config)
        names = [name for name in STAGE_FLOWS if name != "fetch" or has_indexes(context.config)]
        rows = [row for name in names for row in STAGE_FLOWS[name](preset, overrides, data)]
        clips = context.clips()
        model_id = current_model_id(context.catalog, context.config, clips=clips)
        stands_on = evaluation_digest(context.catalog, context.config, model_id=model_id, clips=clips)
        report = report_path(context.settings, context.config, model_id=model_id, stands_on=stands_on)
        if not report.exists() or any(row["done"] or row["failed"] for row in rows):
            write_report(context.settings, context.catalog, context.config, model_id=model_id, summaries=rows)
        wanted = wanted_scores(context.catalog, context.config, model_id=model_id, clips=clips)
        scores = list(kept_scores(context.catalog, wanted).values())
        log_report(context.settings, context.config, model_id, scores, page=report)
        create_markdown_artifact(key="report", markdown=f"`{report}`", description="The report of this run.")
        return rows
