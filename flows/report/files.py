"""Where pages lie."""

from __future__ import annotations

from pathlib import Path

from uniform_core.config import RunConfig
from uniform_core.fingerprint import digest
from uniform_core.settings import Settings


def report_path(settings: Settings, config: RunConfig, *, model_id: str, stands_on: str) -> Path:
    """Where the page of a model and its evaluation (`evaluation_digest`) lies.

    Other clips or scores are another page, and so is another config: the bounds of the gate may differ.
    """
    shown = digest([stands_on, config.model_dump(mode="json")])
    return settings.reports_dir / f"report-{model_id[:12]}-{shown[:8]}.html"
