"""What tasks, systems and metrics are called on the page, and what they mean."""

from __future__ import annotations

from typing import Final

TASKS: Final = {
    "truth": "Real clip",
    "t2av": "Text → picture + sound",
    "a2v": "Sound → picture",
    "v2a": "Picture → sound",
}
SYSTEMS: Final = {
    "uniform": "UniForm",
    "untrained": "Untrained",
    "codec_round_trip": "Codec round trip",
    "real": "Real clips",
}
# First word of a metric: what it is, and which way is better ("" where neither is).
METRICS: Final = {
    "fvd": ("Fréchet distance of pictures to real ones", "lower"),
    "fad": ("Fréchet distance of sounds to real ones", "lower"),
    "kvd": ("kernel distance of pictures to real ones", "lower"),
    "kad": ("kernel distance of sounds to real ones", "lower"),
    "kl": ("divergence of classes from the true clip's", "lower"),
    "is": ("inception score: clear classes, all of them", "higher"),
    "class_accuracy": ("clips whose class a net recognises", "higher"),
    "synchrony": ("own sound preferred to another's of the class", "higher"),
    "av_align": ("onsets of sound that meet peaks of motion", "higher"),
    "av_align_chance": ("the same with the sound of other clips", ""),
}


def described(metric: str) -> str:
    """A metric in words; empty for one that is not known here."""
    return METRICS.get(metric.split(".")[0], ("", ""))[0]


def better(metric: str) -> str:
    """`lower` or `higher`, where one of them is better."""
    return METRICS.get(metric.split(".")[0], ("", ""))[1]
