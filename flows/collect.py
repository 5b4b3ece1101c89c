"""A corpus from an index: its files fetched, then cut into canonical clips. What each dataset's deployment runs."""

from __future__ import annotations

from prefect import flow

from flows.context import run_context
from flows.stages import Summaries, fetch, ingest


@flow(name="collect")
def collect(
    preset: str = "tiny",
    overrides: list[str] = [],  # noqa: B006  (Prefect reads the default into the deployment's schema)
    data: str | None = None,
) -> Summaries:
    """Bring what an index lists, and ingest what has come; the next run goes on with what has not."""
    with run_context(preset, overrides, data):
        return [*fetch(preset, overrides, data), *ingest(preset, overrides, data)]
