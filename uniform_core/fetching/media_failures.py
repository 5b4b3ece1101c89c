"""What the media floor says of a file, as a class of failures of fetching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from uniform_core.errors import Rejection
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Failed

_CLASSES: Final[Mapping[str, FailureClass]] = {
    "range": FailureClass.RANGE,
    "odd_span": FailureClass.RANGE,
    "too_large": FailureClass.TOO_LARGE,
    "memory": FailureClass.TOO_LARGE,
    "missing_file": FailureClass.TRANSIENT,  # of ours: somebody cleared up, or a disk fails
    "unreadable": FailureClass.TRANSIENT,
}


def failed_by(rejection: Rejection) -> Failed:
    """The failure of a clip whose file was refused: bad media, where nothing better is known."""
    failure = _CLASSES.get(rejection.error_class, FailureClass.BAD_MEDIA)
    return Failed(failure, f"{rejection.error_class}: {rejection.message}")
