"""What a net would look at, kept for the process that holds the net: reading needs a core, looking may need a GPU.

A reader looks at a file with `Kept…` in the place of each net; what it found goes to `looked`, elsewhere or in the same
process, and gives what `look_at` with the nets themselves would have given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uniform_core.errors import Rejection
from uniform_core.metrics.originals.extractors import (
    Layers,
    OriginalExtractor,
    PictureExtractor,
    SoundExtractor,
    Watcher,
)
from uniform_core.metrics.originals.reader import Look

FRAMES, WAVEFORM, HEARD_HZ = "kept_frames", "kept_waveform", "kept_rate_hz"


@dataclass(frozen=True)
class KeptFrames(PictureExtractor):
    """Keeps the frames that a net is to see: those of its window."""

    net: PictureExtractor
    name = "frames"
    is_windowed = True

    @property
    def fingerprint(self) -> str:
        return self.net.fingerprint

    def watch(self) -> Watcher:
        return _Keeper()


class _Keeper(Watcher):
    def __init__(self) -> None:
        self._frames: list[np.ndarray] = []

    def see(self, frame_HW3: np.ndarray) -> None:
        self._frames.append(np.array(frame_HW3))

    def layers(self, *, rate_hz: float | None) -> Layers | Rejection:
        del rate_hz
        return {FRAMES: np.stack(self._frames)}


@dataclass(frozen=True)
class KeptSound(SoundExtractor):
    """Keeps the sound that a net is to hear."""

    net: SoundExtractor
    name = "sound"

    @property
    def fingerprint(self) -> str:
        return self.net.fingerprint

    def hear(self, waveform_N: np.ndarray, *, rate_hz: int) -> Layers | Rejection:
        return {WAVEFORM: waveform_N, HEARD_HZ: np.array(rate_hz)}


def has_net(extractor: OriginalExtractor) -> bool:
    """Whether an extractor holds a net; the others are done where the file is read."""
    return hasattr(extractor, "config")


def kept(look: Look) -> Look:
    """The look of a reader: of a net only what it would see or hear."""
    extractor = look.extractor
    if not has_net(extractor):
        return look
    if isinstance(extractor, PictureExtractor):
        return Look(KeptFrames(extractor), look.loading)
    assert isinstance(extractor, SoundExtractor), "an extractor looks or listens"
    return Look(KeptSound(extractor), look.loading)


def looked(extractor: OriginalExtractor, found: Mapping[str, np.ndarray]) -> Layers | Rejection:
    """All layers, of what a reader found; where there is no net it has them already."""
    if FRAMES in found:
        assert isinstance(extractor, PictureExtractor), "frames were kept for one that looks"
        watcher = extractor.watch()
        for frame_HW3 in found[FRAMES]:
            watcher.see(frame_HW3)
        layers = watcher.layers(rate_hz=float(found["rate_hz"]) if "rate_hz" in found else None)
    elif WAVEFORM in found:
        assert isinstance(extractor, SoundExtractor), "a sound was kept for one that listens"
        layers = extractor.hear(found[WAVEFORM], rate_hz=int(found[HEARD_HZ]))
    else:
        return found
    return layers if isinstance(layers, Rejection) else {**layers, **_beside(found)}


def _beside(found: Mapping[str, np.ndarray]) -> Layers:
    return {name: value for name, value in found.items() if name not in (FRAMES, WAVEFORM, HEARD_HZ)}
