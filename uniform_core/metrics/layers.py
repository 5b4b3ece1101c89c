"""Which layers each extractor has, so that a metric of one that nobody has is told before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from uniform_core.metrics.base import Need
from uniform_core.metrics.synchrony import AUDIO_LAYER, VIDEO_LAYER

# Patterns: of the sound's onsets there is a layer for every rate.
LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "tinyvideo": ("features", "logits"),
    "tinymel": ("features", "logits"),
    "tinysync": (VIDEO_LAYER, AUDIO_LAYER),
    "farneback": ("flow", "rate_hz"),
    "librosa": ("onsets_native", r"onsets_[1-9]\d*"),
}


def why_unknown(need: Need) -> str | None:
    """Why no extractor gives this layer, in words; None where one does."""
    if need.extractor not in LAYERS:
        return f"extractor {need.extractor!r} is none of {', '.join(LAYERS)}"
    if not any(re.fullmatch(layer, need.layer) for layer in LAYERS[need.extractor]):
        return f"extractor {need.extractor!r} has no layer {need.layer!r}, but {', '.join(LAYERS[need.extractor])}"
    return None
