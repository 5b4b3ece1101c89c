"""Whether a file is the clip that was wanted: measured from its first picture to its last sample, never believed."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from uniform_core.errors import Rejection
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.media_failures import failed_by
from uniform_core.fetching.outcome import Failed
from uniform_core.media import MeasuredFile, Sandbox

Facts = MeasuredFile
ENOUGH: Final = 0.95
"""Which share of its length a clip must have."""
LONGEST: Final = 2.0
SPARE_S: Final = 2.0
"""A file of over twice the length and two seconds is another cut: nobody knows where in it the clip lies."""
TOOLS: Final = ("av", "numpy", "yt-dlp", "imageio-ffmpeg")


def validate(path: Path, *, wanted_s: float | None, sandbox: Sandbox) -> Facts | Failed:
    """The measured facts of a fetched file, whose columns go to `downloads`, or why it cannot be used.

    `wanted_s` is the clip's length; None for a whole video, which has any.
    """
    measured = sandbox.measure(path, longest_s=None if wanted_s is None else LONGEST * wanted_s + SPARE_S)
    if isinstance(measured, Rejection):
        return failed_by(measured)
    if wanted_s is not None and measured.duration_s < ENOUGH * wanted_s:
        found = f"{measured.duration_s:.3f} s of picture and sound found"
        return Failed(FailureClass.BAD_MEDIA, f"too_short: {wanted_s:g} s expected, {found}")
    return measured


def tool_versions() -> dict[str, str]:
    """The versions of what fetches, cuts and measures files, by name; without those that are not installed."""
    versions = {"python": platform.python_version()}
    for name in TOOLS:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
