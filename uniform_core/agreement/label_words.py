"""The share of the words of a clip's class that its caption has: what can be told without a model.

It knows nothing of meaning: "hound" does not agree with "dog". A low score is a hint where classes are plain words, and
none where a caption says the same in others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from uniform_core.agreement.base import AgreementConfig, AgreementInput, AgreementScorer

VERSION: Final = 1
_WORD: Final = re.compile(r"[^\W_]+")
_EMPTY_WORDS: Final = frozenset({"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "with"})
_ENDINGS: Final = ("ing", "ed", "es", "s", "e", "y")
_STEM: Final = 3  # letters, at least, that an ending leaves


def stem_of(word: str) -> str:
    """A word of English without its commonest ending, so that forms of one word meet.

    >>> [stem_of(word) for word in ("bouncing", "bounces", "bounce", "dogs", "sing")]
    ['bounc', 'bounc', 'bounc', 'dog', 'sing']
    """
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM:
            return word[: -len(ending)]
    return word


def _stems(text: str) -> set[str]:
    return {stem_of(word) for word in _WORD.findall(text.casefold()) if word not in _EMPTY_WORDS}


class LabelWordsScorer(AgreementScorer):
    """From 0, no word of the class is in the caption, to 1, each is; None for a clip without a class."""

    def score(self, inputs: Sequence[AgreementInput]) -> list[float | None]:
        return [_share(_stems(item.label or ""), _stems(item.text)) for item in inputs]


def _share(wanted: set[str], said: set[str]) -> float | None:
    return len(wanted & said) / len(wanted) if wanted else None


class LabelWordsConfig(AgreementConfig):
    """The offline scorer."""

    kind: Literal["label_words"] = "label_words"

    @property
    def revision(self) -> str:
        return f"rule-{VERSION}"

    def build(self) -> LabelWordsScorer:
        return LabelWordsScorer()
