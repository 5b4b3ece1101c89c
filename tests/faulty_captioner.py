"""A video-language model with faults around it, and the parts of the stage that know it.

Each fault is about one clip, by its number: the last part of its source id.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tiny_vlm import tiny_vlm

import tasks.caption_reader
import tasks.captions
from tasks.caption_reader import CaptionReader
from tasks.captions import CaptionWorker
from uniform_core.captioners.base import Captioner, CaptionerConfig, CaptionInput, CaptionResult

SEGFAULT, KILLED, EMPTY, TIMEOUT = 17, 40, 66, 81  # the numbers of the clips
BATCH = 2
FEW_WORDS = {"max_new_tokens": 6}  # a token is a letter: what counts here is that something is said


class FaultyConfig(CaptionerConfig):
    """`weights` are those of the model; `marks` is a folder in which faults leave what they remember.

    `server-is-up` in it ends the time-outs.
    """

    kind: Literal["faulty"] = "faulty"
    frames: int = 2
    weights: str
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
        return FaultyCaptioner(
            tiny_vlm(Path(self.weights), frames=self.frames, generation=FEW_WORDS).build(), Path(self.marks)
        )


class FaultyCaptioner(Captioner):
    """Says what the model says, but for the clips that it fails at."""

    def __init__(self, model: Captioner, marks: Path) -> None:
        self._model, self._marks = model, marks
        with (marks / "loads").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        faults = [self._fault(seen) for seen in inputs]
        left = [seen for seen, fault in zip(inputs, faults, strict=True) if not fault]
        said = iter(self._model.caption(left) if left else [])
        return [fault or next(said) for fault in faults]

    def _fault(self, seen: CaptionInput) -> CaptionResult | None:
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
        return None


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
