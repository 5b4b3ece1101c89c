"""What yt-dlp works with, all of it from pip: itself, a JavaScript runtime (deno) and ffmpeg."""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uniform_core.errors import ConfigError

FIX: Final = "Run `pip install 'yt-dlp[default,deno]' imageio-ffmpeg`."


@dataclass(frozen=True)
class Tools:
    """The programs that yt-dlp starts."""

    js_runtime: Path
    ffmpeg: Path


def find_tools() -> Tools:
    """Where the tools are. Raises ConfigError that says which of them is missing, and how to get it."""
    for module in ("yt_dlp", "yt_dlp_ejs"):
        if importlib.util.find_spec(module) is None:
            raise _missing(f"the package {module.replace('_', '-')}", "not installed")
    return Tools(
        _program("deno", "find_deno_bin", what="a JavaScript runtime"),
        _program("imageio_ffmpeg", "get_ffmpeg_exe", what="ffmpeg"),
    )


def _program(module: str, finder: str, *, what: str) -> Path:
    """The program that a package brings. Raises ConfigError."""
    try:
        path = Path(getattr(importlib.import_module(module), finder)())
    except ImportError:
        raise _missing(what, f"no package {module.replace('_', '-')}") from None
    except (OSError, RuntimeError) as error:  # their words for a wheel without a binary for this machine
        raise _missing(what, str(error) or type(error).__name__) from error
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise _missing(what, f"no program at {path}")
    return path.resolve()


def _missing(what: str, found: str) -> ConfigError:
    return ConfigError("the source youtube", expected=what, found=found, fix=FIX)
