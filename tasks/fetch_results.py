"""What a worker of the stage `fetch` says of a clip, beside what sources say; and the books of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tasks.pool import PoolSummary
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Deferred, Failed
from uniform_core.fetching.policies import POLICIES

ONLY_COPIES = "only_copies"  # the mark of a batch's rows for which no host is to be asked


@dataclass(frozen=True)
class Fetched:
    """A clip whose file lies at its place; its row but for the key, and the bytes that were written for it."""

    row: Mapping[str, Any]
    bytes: int


@dataclass(frozen=True)
class Nowhere:
    """No source has the clip, and none ever claimed to: asked again by every run, which costs nothing."""

    message: str


class Said:
    """What sources have said of the clips of a video that they did not give, by source_id."""

    def __init__(self) -> None:
        self.blocked: dict[str, Failed | Deferred] = {}  # a host is closed: of others, copies alone are asked meanwhile
        self._failed: dict[str, Failed] = {}
        self._damaged: dict[str, Failed] = {}  # of copies

    def note(self, source_id: str, answer: Failed | Deferred, *, is_copy: bool) -> None:
        """Of answers of one kind, the first counts."""
        if isinstance(answer, Deferred) or POLICIES[answer.failure].closes_host:
            self.blocked.setdefault(source_id, answer)
        else:
            (self._damaged if is_copy else self._failed).setdefault(source_id, answer)

    def last_word(self, source_id: str) -> Failed | Deferred | None:
        """What becomes of a clip that no source gave; None where none has said anything.

        A closed host may still have it. Of the others it is a host's word that says what may still come of it; a
        damaged copy's bytes stay as they are.
        """
        damaged = self._damaged.get(source_id)
        if damaged is not None:
            damaged = replace(damaged, is_final=damaged.failure is FailureClass.BAD_MEDIA)
        return self.blocked.get(source_id) or self._failed.get(source_id) or damaged


def stops_run(answer: Failed | Deferred) -> bool:
    """Whether no other source is to be asked either: the set-up is at fault, and every clip would meet it."""
    return isinstance(answer, Failed) and POLICIES[answer.failure].stops_run


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
