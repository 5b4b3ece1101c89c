"""Where pages lie."""

from __future__ import annotations

from pathlib import Path

from uniform_core.settings import Settings


def report_path(settings: Settings, *, model_id: str, stands_on: str) -> Path:
    """Where the page of a model and its evaluation (`evaluation_digest`) lies: other clips or scores, another page."""
    return settings.reports_dir / f"report-{model_id[:12]}-{stands_on[:8]}.html"
