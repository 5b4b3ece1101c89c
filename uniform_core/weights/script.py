"""TorchScript, which is a program: read only with its pinned sha256 and a person's word."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uniform_core.fingerprint import bytes_sha256
from uniform_core.lazy import lazy
from uniform_core.weights.reading import AGAIN, first_line, unreadable

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def load_script(path: Path, *, sha256: str | None, allow_code: bool) -> Any:
    """The module of a TorchScript file, which is a program: run only where a person allows it and the bytes are known.

    Raises ConfigError without `allow_code`, without a pinned sha256, and for other bytes than those.
    """
    require_permission(path, sha256=sha256, allow_code=allow_code)
    data = _bytes_of(path)  # those that are hashed are those that run
    if bytes_sha256(data) != sha256:
        raise unreadable(path, f"sha256 {bytes_sha256(data)} and not the pinned {sha256}", fix=AGAIN)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.load.*is deprecated", category=FutureWarning)
            return torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise unreadable(path, f"no TorchScript ({first_line(error)})", fix="Correct the path.") from error


def require_permission(path: Path, *, sha256: str | None, allow_code: bool) -> None:
    """A person allows its code to run, and a sha256 says which code that is. Raises ConfigError."""
    program = "TorchScript is a program, not only numbers"
    if not allow_code:
        raise unreadable(path, program, fix="Say that its code may run, once you trust where it comes from.")
    if sha256 is None:
        raise unreadable(path, f"{program}, and no sha256 says which", fix="Pin the sha256 of a file that you trust.")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error.strerror or str(error), fix="Correct the path.") from error
