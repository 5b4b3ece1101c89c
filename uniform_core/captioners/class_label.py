"""The caption is the class label: what the paper does for Landscape and AIST++ (§4.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import field_validator

from uniform_core.captioners.base import Captioner, CaptionInput, CaptionResult, WordsCaptionerConfig

VERSION = 1
_SLOT = "{label}"


def label_words(label: str) -> str:
    """A label as words: folder names lose their underscores and runs of spaces.

    >>> label_words("bouncing_ball")
    'bouncing ball'
    """
    return " ".join(label.replace("_", " ").split())


class ClassLabelCaptioner(Captioner):
    """Says the template with the label in it."""

    def __init__(self, template: str) -> None:
        self._template = template

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        return [self._one(item, seed) for item in inputs]

    def _one(self, item: CaptionInput, seed: int) -> CaptionResult:
        words = label_words(item.label or "")
        if not words:
            return CaptionResult(
                "empty", message=f"{item.clip_id}: expected a class label; found {item.label!r}", seed=seed
            )
        return CaptionResult("success", self._template.replace(_SLOT, words), seed=seed)


class ClassLabelConfig(WordsCaptionerConfig):
    """`template` holds `{label}` once, and may surround it: "the sound and picture of {label}"."""

    kind: Literal["class_label"] = "class_label"
    template: str = _SLOT

    @field_validator("template")
    @classmethod
    def _has_one_slot(cls, template: str) -> str:
        if template.count(_SLOT) != 1:
            raise ValueError(f"the template must hold {_SLOT} exactly once")
        return template

    @property
    def revision(self) -> str:
        return f"rule-{VERSION}"

    @property
    def is_brief(self) -> bool:
        return True

    def build(self) -> ClassLabelCaptioner:
        return ClassLabelCaptioner(self.template)
