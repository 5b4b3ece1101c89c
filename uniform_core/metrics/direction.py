"""Which way a number is better, by the first word of its name."""

from __future__ import annotations

from typing import Final, Literal

Direction = Literal["lower", "higher", ""]

LOWER: Final = frozenset({"fvd", "fad", "kvd", "kad", "kl", "copied_share", "loss_gap", "kl_sigmoid", "fd"})
HIGHER: Final = frozenset(
    {
        "is",
        "class_accuracy",
        "synchrony",
        "av_align",
        "coverage",
        "attribute_colour",
        "attribute_size",
        "attribute_pitch",
        "attribute_colour_unseen",
        "attribute_size_unseen",
        "attribute_pitch_unseen",
        "onset_f1_gain",
        "copying_z",
    }
)


def better(name: str) -> Direction:
    """`lower` or `higher`, where one of them is better; empty for counts, chance levels, and names not known here.

    >>> better("fvd.tinyvideo.uniform_tiny"), better("synchrony.tinysync.uniform_tiny"), better("onset_count.librosa.x")
    ('lower', 'higher', '')
    """
    word = name.partition(".")[0]
    return "lower" if word in LOWER else "higher" if word in HIGHER else ""


def gain(name: str, difference: float) -> float:
    """A difference of two values of this name, above 0 where the first is better; 0 where neither way is.

    >>> gain("kl.tinymel.uniform_tiny", -0.5), gain("onset_count.librosa.x", 2.0)
    (0.5, 0.0)
    """
    return {"lower": -difference, "higher": difference, "": 0.0}[better(name)]
