"""What can be wrong with a caption, by name. A flag never takes a caption away: a policy may."""

from __future__ import annotations

from typing import Final, Literal, get_args

# What one caption shows by itself, in the order in which flags are listed.
Flag = Literal[
    "empty",  # the captioner had nothing to say
    "too_short",  # fewer words than a caption has
    "too_long",  # the text encoder would cut it
    "cut_off",  # the captioner was stopped before its end
    "repetitive",  # too many of its runs of four words are the same
    "prompt_echo",  # it says the prompt again
    "refusal",  # it says that the captioner will not or cannot say
    "language",  # it is not in the language that was asked for
    "low_agreement",  # it is of something else than its clip, by the run's scorer
]
FLAGS: Final[tuple[str, ...]] = get_args(Flag)

# What a caption shows only beside the others of its corpus: too many clips have the same text.
CorpusFlag = Literal["duplicate"]
DUPLICATE: Final = "duplicate"
AnyFlag = Literal[Flag, CorpusFlag]
