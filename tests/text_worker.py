"""The worker of the stage's tests: a process of Ray imports it by name, and `tests` is also another package's name."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.stage import ItemRows, PartFailure
from uniform_core.errors import Rejection
from uniform_core.fingerprint import text_digest


class TextWorker:
    """Makes a prompt row (the mark) and a caption text of each word, as the word says."""

    def __init__(self, *, table: str = "prompts") -> None:
        self._table = table

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        return [self._one(row["work_key"], row["word"]) for row in batch]

    def _one(self, key: str, word: str) -> ItemRows | Rejection:
        if word.startswith("bad"):
            return Rejection("too_short", f"expected more; found {word}", terminal=not word.endswith("later"))
        if word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "interrupt":
            raise KeyboardInterrupt
        if word == "bug":
            raise IndexError(word)
        failures = [PartFailure(text_digest(word + "/2"), word + "/2", Rejection("no_audio", "no sound"))]
        return ItemRows(
            rows={
                "prompts": [{"work_key": key, "prompt_hash": text_digest(word), "prompt": word}],
                "caption_texts": [{"work_key": text_digest(word), "text_hash": text_digest(word), "text": word}],
            },
            failures=failures if word.startswith("half") else (),
            accepted=0 if word == "hollow" else 1,
            bytes=10,
        )
