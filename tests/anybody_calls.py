"""Calls that score anybody's clips in this process, for tests: under protocols that need no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from in_driver import NoRay

from tasks.anybody import Scored, score_clips
from tasks.context import Session
from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.call import Call, Words, call_of
from uniform_core.progress import silent
from uniform_core.settings import Settings
from uniform_core.types import Task

FREE = ("tempotokens2025", "seeing_and_hearing")  # protocols that need no weights, and read files alike
NAME, CHANCE = "av_align.farneback.tempotokens2025", "av_align_chance.farneback.tempotokens2025"


def session_in(home: Path) -> Session:
    settings = Settings(home=home, cpus=1)
    return Session(settings, Catalog.open(settings), NoRay(settings), "a run", silent)


def words(root: Path, *protocols: str, task: Task = Task.V2A, **more: Any) -> Words:
    """`root/generated` beside `root/reference`."""
    known = {"generated": root / "generated", "reference": str(root / "reference")}
    return Words(task=task, protocols=protocols or FREE[:1], **{**known, **more})


def scored_in(session: Session, asked: Words) -> tuple[Call, Scored]:
    call = call_of(asked, settings=session.settings, catalog=session.catalog)
    return call, score_clips(session, call)
