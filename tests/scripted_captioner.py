"""A captioner for tests that says what a table says: by clip and by seed, with the faults that are written there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from uniform_core.captioners import Captioner, CaptionerConfig, CaptionInput, CaptionResult

ASKED: list[tuple[str, int]] = []  # clips and seeds, in order, of this process


class ScriptedCaptioner(Captioner):
    """Says the words of its script with the clip's label in them; `!` is an error, nothing is nothing."""

    def __init__(self, script: tuple[str, ...], failing: tuple[str, ...]) -> None:
        self._script, self._failing = script, failing

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        ASKED.extend((item.clip_id, seed) for item in inputs)
        return [self._one(item, seed) for item in inputs]

    def _one(self, item: CaptionInput, seed: int) -> CaptionResult:
        if item.clip_id in self._failing:
            return CaptionResult("error", message="the server is gone", seed=seed)
        text = self._script[min(seed, len(self._script) - 1)].replace("{label}", item.label or "")
        if not text:
            return CaptionResult("empty", message="nothing was said", seed=seed)
        return CaptionResult("success", text, tokens_in=7, tokens_out=3, finish_reason="stop", seed=seed)


class ScriptedConfig(CaptionerConfig):
    """The first words are those of seed 0, and so on; the last are those of every later seed."""

    kind: Literal["scripted"] = "scripted"
    asks: str = "What is seen?"
    script: tuple[str, ...] = ("A {label} is seen and heard near a house.",)
    failing: tuple[str, ...] = ()
    temperature: float = 0.0

    @property
    def revision(self) -> str:
        return "scripted-1"

    @property
    def prompt(self) -> str:
        return self.asks

    @property
    def sampling(self) -> dict[str, object]:
        return {"temperature": self.temperature}

    @property
    def can_vary(self) -> bool:
        return len(self.script) > 1

    def fingerprint_params(self) -> dict[str, object]:
        return {"kind": self.kind}  # faults are no part of what is asked

    def build(self) -> ScriptedCaptioner:
        return ScriptedCaptioner(self.script, self.failing)
