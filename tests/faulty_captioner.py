"""A captioner with faults, and the parts of the stage that know it. What it looks with may be a model.

Each fault is about one clip, by its number: the last part of its source id.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tasks.caption_reader
import tasks.captions
from tasks.caption_reader import CaptionReader
from tasks.captions import CaptionWorker
from uniform_core.captioners.base import Captioner, CaptionerConfig, CaptionInput, CaptionResult

SEGFAULT, KILLED, EMPTY, TIMEOUT = 17, 40, 66, 81  # the numbers of the clips
BATCH = 4


class FaultyConfig(CaptionerConfig):
    """`marks` is a folder in which faults leave what they remember; `server-is-up` in it ends the time-outs."""

    kind: Literal["faulty"] = "faulty"
    frames: int = 2
    marks: str

    @property
    def revision(self) -> str:
        return "faulty-1"

    @property
    def prompt(self) -> str | None:
        return "What is seen and heard?"

    @property
    def batch_clips(self) -> int:
        return BATCH

    def build(self) -> Captioner:
        return FaultyCaptioner(Path(self.marks))


class FaultyCaptioner(Captioner):
    """Says how bright the frames are, but for the clips that it fails at."""

    def __init__(self, marks: Path) -> None:
        self._marks = marks
        with (marks / "loads").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        return [self._one(seen) for seen in inputs]

    def _one(self, seen: CaptionInput) -> CaptionResult:
        number = int(str(seen.source_id).split("/")[-1])
        if number == SEGFAULT:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == KILLED and not (self._marks / "killed").exists():
            (self._marks / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == EMPTY:
            return CaptionResult("empty", message="the model said nothing")
        if number == TIMEOUT and not (self._marks / "server-is-up").exists():
            return CaptionResult("error", message="expected an answer within 30 s; found none")
        assert seen.frames_THWC is not None
        return CaptionResult("success", f"a scene of brightness {seen.frames_THWC.mean():.1f} that changes with sound")


class FaultyWorker(CaptionWorker):
    """The stage's worker, which reads this captioner's config."""

    def __init__(self, **words: Any) -> None:
        tasks.captions.AnyCaptioner = FaultyConfig  # type: ignore[misc]
        super().__init__(**words)


class FaultyReader(CaptionReader):
    """The stage's reader, which reads this captioner's config."""

    def __init__(self, **words: Any) -> None:
        tasks.caption_reader.AnyCaptioner = FaultyConfig  # type: ignore[misc]
        super().__init__(**words)
