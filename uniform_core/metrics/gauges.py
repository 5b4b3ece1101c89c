"""Gauges: what a picture's colour and size, and a sound's pitch, are by arithmetic alone, without any net.

Axes: T frames, H height, W width, F mel bins.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, UInt8

LEAST_VIVID = 0.30  # chroma (0 to 1) from which a pixel counts as coloured: backdrops are grey


def colour_of(frames_THW3: UInt8[np.ndarray, "T H W 3"]) -> Float32[np.ndarray, " 2"]:
    """The mean hue of a clip as a vector of length 0 to 1 on the colour circle, each pixel weighed by its chroma."""
    red, green, blue = (frames_THW3[..., channel].astype(np.float32) / 255.0 for channel in range(3))
    # The projection of the RGB cube along its grey diagonal: the angle is the hue, the length the chroma.
    x = red - 0.5 * (green + blue)
    y = np.sqrt(0.75) * (green - blue)
    chroma = np.hypot(x, y)
    vivid = np.where(chroma >= LEAST_VIVID, chroma, 0.0)
    direction = np.array([(vivid * x / (chroma + 1e-6)).sum(), (vivid * y / (chroma + 1e-6)).sum()])
    return np.asarray(direction / (vivid.sum() + 1e-6), dtype=np.float32)


def area_of(frames_THW3: UInt8[np.ndarray, "T H W 3"]) -> Float32[np.ndarray, " 1"]:
    """The share of coloured pixels, as the mean over the frames."""
    levels = frames_THW3.astype(np.float32) / 255.0
    chroma = levels.max(axis=3) - levels.min(axis=3)
    return np.array([(chroma >= LEAST_VIVID).mean()], dtype=np.float32)


def pitch_of(mel_TF: Float[np.ndarray, "T F"]) -> Float32[np.ndarray, " 1"]:
    """The centre of the sound's power over the mel bins, in bins: higher for higher sounds."""
    power_TF = np.exp(2.0 * mel_TF.astype(np.float64))
    bins_F = np.arange(mel_TF.shape[1])
    return np.array([(power_TF.sum(axis=0) * bins_F).sum() / power_TF.sum()], dtype=np.float32)
