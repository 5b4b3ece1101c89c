"""Where pages lie, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from uniform_core.errors import StorageError
from uniform_core.settings import Settings


def report_path(settings: Settings, *, model_id: str, stands_on: str) -> Path:
    """Where the page of a model and its evaluation (`evaluation_digest`) lies: other clips or scores, another page."""
    return settings.reports_dir / f"report-{model_id[:12]}-{stands_on[:8]}.html"


def write_whole(path: Path, text: str) -> None:
    """The file holds the text. Raises StorageError; what was there before then stays."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, "utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the folder itself may be what is wrong
            partial.unlink()
        raise StorageError(
            str(path),
            expected="a report that can be written",
            found=error.strerror or str(error),
            fix="Make room, or set UNIFORM_HOME to a writable folder.",
        ) from error
