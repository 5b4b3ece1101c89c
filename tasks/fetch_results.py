"""What a worker of the stage `fetch` says of a clip, beside what the sources themselves say (`Failed`, `Deferred`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fetched:
    """A clip whose file lies at its place; its row but for the key, and the bytes that were written for it."""

    row: Mapping[str, Any]
    bytes: int


@dataclass(frozen=True)
class Nowhere:
    """No source has the clip, and none ever claimed to: asked again by every run, which costs nothing."""

    message: str
