"""What can be told of a text's language without a model: its script, and whether it has the small words of English.

That tells English sentences from those of most languages, and never one other language from another. A few words, or
a list of nouns, are `latin`: too short to tell.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

# fmt: off
ENGLISH: Final = frozenset({
    "a", "an", "the", "and", "or", "of", "in", "on", "at", "to", "with", "by", "for", "from", "is", "are", "was",
    "were", "be", "been", "it", "its", "this", "that", "these", "those", "as", "while", "there", "he", "she", "they",
    "his", "her", "their", "who", "which", "into", "over", "then", "than", "but", "not", "has", "have", "had", "up",
    "down", "out", "off", "through", "near", "next", "around", "behind", "under", "between", "against", "across",
    "along", "some", "someone", "something", "each", "other",
})
# fmt: on
ENGLISH_SHARE: Final = 0.12  # captions of English have 0.3 to 0.5; those of its neighbours that share words, below 0.1


def english_share(words: Sequence[str]) -> float | None:
    """The share of small words of English among words in lower case; None without words."""
    return sum(word in ENGLISH for word in words) / len(words) if words else None


def language_of(text: str, words: Sequence[str]) -> str | None:
    """`en`, `latin`, or the script of most letters in lower case; None without letters.

    >>> [language_of(text, text.lower().split()) for text in ("A dog barks at the door", "Ein Hund", "собака", "犬")]
    ['en', 'latin', 'cyrillic', 'cjk']
    """
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    if not scripts:
        return None
    script = scripts.most_common(1)[0][0]
    if script == "latin" and (english_share(words) or 0.0) >= ENGLISH_SHARE:
        return "en"
    return script


def _script(letter: str) -> str:
    """The first word of a letter's name in Unicode (LATIN, CYRILLIC, CJK, …) that says no form of it."""
    words = unicodedata.name(letter, "unknown").lower().split()
    return next(
        (word for word in words if word not in ("fullwidth", "halfwidth", "modifier", "mathematical")), "unknown"
    )
