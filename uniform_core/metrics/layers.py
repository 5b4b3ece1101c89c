"""Which layers each extractor has, and what each looks at; a metric of one that nobody has is told before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from uniform_core.metrics.base import MODEL, Need
from uniform_core.metrics.synchrony import AUDIO_LAYER, VIDEO_LAYER
from uniform_core.types import Modality

SKETCH_LAYER: Final = "sketch"
SKETCHES: Final = {"videosketch": Modality.VIDEO, "melsketch": Modality.AUDIO}  # by extractor

I3D_LAYERS: Final = ("logits_crop", "logits_squash")  # by the front end: MM-Diffusion's, StyleGAN-V's

# Of those that a run of a preset has. Patterns: of the sound's onsets there is a layer for every rate.
LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "tinyvideo": ("features", "logits"),
    "tinymel": ("features", "logits"),
    "tinysync": (VIDEO_LAYER, AUDIO_LAYER),
    "farneback": ("flow", "rate_hz"),
    "gauge": ("colour", "area", "pitch"),
    **dict.fromkeys(SKETCHES, (SKETCH_LAYER,)),
    "librosa": ("onsets_native", r"onsets_[1-9]\d*"),
}

# Of those that look at original files, by named protocols.
ORIGINAL_LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "farneback": ("flow", "rate_hz", "movement"),
    "librosa": ("onsets_native", r"onsets_[1-9]\d*", "peak"),
    "vggish16k": ("features", "peak"),
    "cnn14_16k": ("features", "logits", "peak"),
    "i3d400": (*I3D_LAYERS, "rate_hz", "movement"),
    "i3d400_torchscript": ("features", "rate_hz", "movement"),
    "c3d_ucf101": ("log_probabilities", "rate_hz", "movement"),
}

SCREENERS: Final = ("tinysync",)  # by which a filter of clips can ask: `screening` has them

_JUDGES: Final[Mapping[str, Modality]] = {
    "tinyvideo": Modality.VIDEO,
    "tinymel": Modality.AUDIO,
    VIDEO_LAYER: Modality.VIDEO,
    AUDIO_LAYER: Modality.AUDIO,
    "farneback": Modality.VIDEO,
    "librosa": Modality.AUDIO,
    "colour": Modality.VIDEO,
    "area": Modality.VIDEO,
    "pitch": Modality.AUDIO,
    **SKETCHES,
    **dict.fromkeys(("vggish16k", "cnn14_16k"), Modality.AUDIO),
    **dict.fromkeys(("i3d400", "i3d400_torchscript", "c3d_ucf101"), Modality.VIDEO),
}


def modality_of(need: Need) -> Modality:
    """The stream of a clip that a layer looks at: a clip may have its picture and its sound from different files."""
    return _JUDGES[need.layer] if need.layer in _JUDGES else _JUDGES[need.extractor]


def extractor_of(score_name: str) -> str:
    """The second word of a score's name, `metric.extractor.protocol`; empty where it has one word."""
    _, _, rest = score_name.partition(".")
    return rest.partition(".")[0]


def stream_judged(score_name: str) -> Modality | None:
    """The stream that a score speaks of by its extractor; None where that looks at both, or at neither."""
    return _JUDGES.get(extractor_of(score_name))


def made_clips(row: Mapping[str, Any]) -> int | None:
    """How many made clips a row of `scores` stands on; None where it speaks of the model itself."""
    return None if extractor_of(row["name"]) == MODEL else int(row["n_generated"])


def video_first(score_name: str) -> tuple[bool, str]:
    """A key that sorts names of scores: the picture's before the sound's."""
    return stream_judged(score_name) is not Modality.VIDEO, score_name


def why_unknown(need: Need, known: Mapping[str, tuple[str, ...]] = LAYERS) -> str | None:
    """Why no extractor of these gives this layer, in words; None where one does."""
    if need.extractor not in known:
        return f"extractor {need.extractor!r} is none of {', '.join(known)}"
    if not any(re.fullmatch(layer, need.layer) for layer in known[need.extractor]):
        return f"extractor {need.extractor!r} has no layer {need.layer!r}, but {', '.join(known[need.extractor])}"
    return None
