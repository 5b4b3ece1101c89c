"""Slaney's mel scale and its filter bank, in librosa's arithmetic to the bit, without librosa.

Axes: F frequencies, M mel bands.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

LINEAR_HZ_PER_MEL = 200.0 / 3  # linear up to 1 kHz …
LOG_FROM_HZ = 1000.0
LOG_STEP = np.log(6.4) / 27.0  # … and a factor of 6.4 in 27 steps above


def mel_filters(
    rate_hz: int, *, window: int, bands: int, low_hz: float = 0.0, high_hz: float | None = None
) -> Float32[np.ndarray, "m f"]:
    """Triangles of equal area between two frequencies (`high_hz` None: half the rate), over a window's frequencies."""
    bin_hz_F = np.fft.rfftfreq(n=window, d=1.0 / rate_hz)
    top_hz = 0.5 * rate_hz if high_hz is None else high_hz
    edge_hz = _mel_to_hz(np.linspace(_hz_to_mel(low_hz), _hz_to_mel(top_hz), bands + 2))
    width_hz = np.diff(edge_hz)
    distance = np.subtract.outer(edge_hz, bin_hz_F)
    rising_MF = -distance[:-2] / width_hz[:-1, None]
    falling_MF = distance[2:] / width_hz[1:, None]
    filters_MF: np.ndarray = np.maximum(0, np.minimum(rising_MF, falling_MF)).astype(np.float32)
    filters_MF *= (2.0 / (edge_hz[2:] - edge_hz[:-2]))[:, None]
    return filters_MF


def _hz_to_mel(hz: float) -> float:
    if hz < LOG_FROM_HZ:
        return hz / LINEAR_HZ_PER_MEL
    return float(LOG_FROM_HZ / LINEAR_HZ_PER_MEL + np.log(hz / LOG_FROM_HZ) / LOG_STEP)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    above = mel - LOG_FROM_HZ / LINEAR_HZ_PER_MEL
    return np.where(above >= 0, LOG_FROM_HZ * np.exp(LOG_STEP * above), LINEAR_HZ_PER_MEL * mel)
