"""The splits of clips that are in the catalog and not in the run: each is named by its reason, and so is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

# With the held-out split's name: a model that had seen such a clip, or a reference that held it, would flatter scores.
COPY_OF: Final = "copy_of_"  # of clips whose file is also a held-out one, to the byte
TWIN_OF: Final = "twin_of_"  # of clips that look and sound like a held-out one
# With the name of the held-out split, or of the dataset that is guarded against.
VIDEO_OF: Final = "video_of_"  # of clips of a video of which another clip is held out
FILTERED: Final = "filtered_"  # with the filter that left them out

_WORDS: Final = {
    COPY_OF: "their files are also {of}",
    TWIN_OF: "they look and sound like clips that are {of}",
    VIDEO_OF: "their videos are also {of}",
    FILTERED: "filtered ({of})",
}


def is_filtered(split: str) -> bool:
    """Whether a filter has left a clip out of the run."""
    return split.startswith(FILTERED)


def has_leaked(split: str) -> bool:
    """Whether a clip has left the run since it would give away what is scored."""
    return split.startswith((COPY_OF, TWIN_OF, VIDEO_OF))


def counts_in_words(splits: Iterable[str]) -> list[str]:
    """One sentence for each reason by which clips are left out: how many, and why.

    >>> counts_in_words(["train", "copy_of_held_out", "copy_of_held_out", "filtered_silent"])
    ['2 clips left out: their files are also held out', '1 clips left out: filtered (silent)']
    """
    said = []
    for split, count in sorted(Counter(splits).items()):
        for prefix, words in _WORDS.items():
            if split.startswith(prefix):
                said.append(f"{count} clips left out: {words.format(of=split.removeprefix(prefix).replace('_', ' '))}")
    return said
