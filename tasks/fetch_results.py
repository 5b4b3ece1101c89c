"""What a worker of the stage `fetch` says of a clip, beside what sources say; and the books of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasks.pool import PoolSummary


@dataclass(frozen=True)
class Fetched:
    """A clip whose file lies at its place; its row but for the key, and the bytes that were written for it."""

    row: Mapping[str, Any]
    bytes: int


@dataclass(frozen=True)
class Nowhere:
    """No source has the clip, and none ever claimed to: asked again by every run, which costs nothing."""

    message: str


@dataclass
class Books:
    """What a run has done so far, by the keys of clips."""

    fetched: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)  # the class of what failed last
    final: set[str] = field(default_factory=set)  # of those that failed
    absent: set[str] = field(default_factory=set)  # of those that failed, or had before: no source has them
    deferred: set[str] = field(default_factory=set)  # met a closed host in the last pass
    bytes: int = 0
    pool: PoolSummary = field(default_factory=PoolSummary)
    rows: Counter[str] = field(default_factory=Counter)
    closed: dict[str, datetime] = field(default_factory=dict)  # hosts, as they were after the last pass
    waiting_until: datetime | None = None  # where the run ended with something left to wait for
