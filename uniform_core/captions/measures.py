"""What is measured of a caption: pure functions of its words, its prompt, and its text as it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from uniform_core.captions.language import english_share, language_of
from uniform_core.text.hashing import words_of

RUN: Final = 4  # words

_QUOTED: Final = re.compile(r"\"[^\"]{0,400}\"")
_REFUSAL: Final = re.compile(
    r"\bas an? (?:ai|language model|artificial intelligence)\b"
    r"|\bi(?:'m| am)(?: very| so)? (?:sorry\b|afraid i\b|unable to\b|not able to\b|incapable of\b)"
    r"|\b(?:sorry|unfortunately),? (?:but )?i (?:can|could|am)\b"
    r"|\bi (?:can(?:not|'t| not)|could(?:n't| not)|do(?:n't| not)|am not able to|will not|won't) "
    r"(?:\w+ )?(?:see|view|watch|access|open|describe|identify|provide|assist|help|determine|comply|analy[sz]e|have)\b"
    r"|\bno (?:video|image|picture|frame)s? (?:was|were|is|are|has been|have been) (?:provided|given|attached|found)\b"
)
_LOOKED_AT: Final = 400  # letters: who refuses says so at once


@dataclass(frozen=True)
class Measures:
    """Of one cleaned text; the names are columns of `captions`."""

    n_words: int
    distinct_4grams: float | None
    prompt_overlap: float | None
    is_refusal: bool
    language: str | None
    english_share: float | None


def measure(text: str, *, prompt: str | None) -> Measures:
    """The measures of a text that a captioner said when it was asked with a prompt."""
    words = words_of(text)
    return Measures(
        n_words=len(words),
        distinct_4grams=distinct_runs(words),
        prompt_overlap=None if prompt is None else overlap(words, words_of(prompt)),
        is_refusal=is_refusal(text),
        language=language_of(text, words),
        english_share=english_share(words),
    )


def distinct_runs(words: Sequence[str]) -> float | None:
    """The share of the runs of four words that are different; None below four words.

    >>> distinct_runs("a dog barks and a dog barks and a dog barks and".split())
    0.4444444444444444
    """
    found = _runs(words, RUN)
    return len(set(found)) / len(found) if found else None


def overlap(words: Sequence[str], prompt: Sequence[str]) -> float | None:
    """The share of the runs of four words (of all words, where there are fewer) that a prompt has too; None without.

    >>> overlap("please describe the video in detail".split(), "describe the video in detail .".split())
    0.6666666666666666
    """
    length = min(RUN, len(words))
    if not length:
        return None
    found, known = _runs(words, length), set(_runs(prompt, length))
    return sum(run in known for run in found) / len(found)


def is_refusal(text: str) -> bool:
    """Whether a text says that who was asked will not or cannot say; what it quotes does not count.

    >>> [is_refusal(t) for t in ("I'm sorry, but I can't see the video.", 'A man says "I am sorry" and leaves.')]
    [True, False]
    """
    plain = text[:_LOOKED_AT].casefold().replace("’", "'").replace("“", '"').replace("”", '"')
    return _REFUSAL.search(_QUOTED.sub(" ", plain)) is not None


def _runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]
