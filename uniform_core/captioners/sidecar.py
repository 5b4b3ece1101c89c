"""The caption is the one that came with the source: rendered, in a `.txt` beside it, or in a `captions.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from uniform_core.captioners.base import Captioner, CaptionInput, CaptionResult, WordsCaptionerConfig
from uniform_core.types import Count

VERSION = 1


class SidecarCaptioner(Captioner):
    """Passes the source's caption on, on one line and not longer than `max_chars`."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        return [self._one(item, seed) for item in inputs]

    def _one(self, item: CaptionInput, seed: int) -> CaptionResult:
        text = " ".join((item.source_caption or "").split())
        if not text:
            return CaptionResult(
                "empty", message=f"{item.clip_id}: expected a caption beside the source; found none", seed=seed
            )
        if len(text) > self._max_chars:
            return CaptionResult("truncated", _cut_at_word(text, self._max_chars), finish_reason="max_chars", seed=seed)
        return CaptionResult("success", text, seed=seed)


def _cut_at_word(text: str, max_chars: int) -> str:
    """The longest run of whole words within `max_chars`; the first word is cut where it alone is longer."""
    head = text[: max_chars + 1]
    cut = head.rfind(" ")
    return head[:cut] if cut > 0 else text[:max_chars]


class SidecarConfig(WordsCaptionerConfig):
    """Captions that people or the renderer wrote."""

    kind: Literal["sidecar"] = "sidecar"
    max_chars: Count = 2_000

    @property
    def revision(self) -> str:
        return f"rule-{VERSION}"

    def build(self) -> SidecarCaptioner:
        return SidecarCaptioner(self.max_chars)
