"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from uniform_core.errors import StorageError


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
