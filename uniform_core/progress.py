"""How long work says where it is: events to a listener. Only the top floor prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressEvent:
    """`done` of `total` items of a stage are finished, `failed` of them rejected; `note` is one short fact.

    `left_s` are the seconds that are left, from a sender who knows what is waited for; None: as the mean so far has it.
    """

    stage: str
    done: int
    total: int
    failed: int = 0
    note: str = ""
    left_s: float | None = None


Listener = Callable[[ProgressEvent], None]


def silent(_event: ProgressEvent) -> None:
    """The listener of someone who does not want to know."""
