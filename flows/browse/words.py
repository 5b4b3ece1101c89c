"""Two captions of one clip, word by word: what both say, and what only one does."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

COMPARED: Final = 400  # words of a caption; what comes after is shown as it is


@dataclass(frozen=True)
class Part:
    """A run of words; `is_own` where the other caption does not have it there."""

    text: str
    is_own: bool


def parts(text: str, other: str | None) -> tuple[Part, ...]:
    """The text cut where it differs from the other; whole where there is no other.

    >>> [(part.text, part.is_own) for part in parts("a red ball bounces", "a blue ball bounces")]
    [('a', False), ('red', True), ('ball bounces', False)]
    """
    if other is None:
        return (Part(text, False),)
    words, theirs = text.split(), other.split()
    head, tail = words[:COMPARED], words[COMPARED:]
    found: list[Part] = []
    matcher = SequenceMatcher(None, [w.lower() for w in head], [w.lower() for w in theirs[:COMPARED]], autojunk=False)
    for kind, start, stop, _, _ in matcher.get_opcodes():
        if start < stop:
            found.append(Part(" ".join(head[start:stop]), kind != "equal"))
    if tail:
        found.append(Part(" ".join(tail), False))
    return tuple(found)
