"""The onset strength of a sound: how much louder its mel bands become from one frame to the next.

The arithmetic of librosa 0.11's `onset_strength` with its defaults, to the bit, without librosa: that compiles machine
code when it is imported, into a folder that every process of the installation shares, which costs half a minute of CPU
in a fresh clone, and which processes that are killed, or that write at the same moment, leave with code that crashes.

Axes: N samples, T frames, W samples of a window, F frequencies, M mel bands.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float32, Float64
from numpy.lib.stride_tricks import sliding_window_view

from uniform_core.metrics.slaney import mel_filters

WINDOW_SAMPLES = 2048
HOP_SAMPLES = 512
MEL_BANDS = 128
LEAST_POWER = 1e-10
RANGE_DB = 80.0


def onset_strength(samples_N: Float32[np.ndarray, " n"], *, rate_hz: int) -> Float32[np.ndarray, " t"]:
    """Mean rise in dB over the mel bands; value i is for the samples around i · HOP_SAMPLES. At least one window long.

    The first values are zeros: a rise is told by the end of its window, so the envelope is put half a window later.
    """
    level_MT = _level_db(_mel_power(samples_N, rate_hz=rate_hz))
    rise_MT = np.maximum(0.0, level_MT[:, 1:] - level_MT[:, :-1])
    delay = 1 + WINDOW_SAMPLES // (2 * HOP_SAMPLES)
    return np.pad(np.mean(rise_MT, axis=0), (delay, 0))[: level_MT.shape[1]]


def _mel_power(samples_N: np.ndarray, *, rate_hz: int) -> Float32[np.ndarray, "m t"]:
    """The power in each mel band around every HOP_SAMPLES-th sample, with silence before and after the sound."""
    padded = np.pad(samples_N, WINDOW_SAMPLES // 2)
    frames_TW = sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES]
    spectrum_TF = np.fft.rfft(_hann() * frames_TW).astype(np.complex64)  # in float64, then rounded
    power_FT = (np.abs(spectrum_TF) ** 2.0).T
    # The order of the operands and of their axes decides the last digits.
    power_MT: np.ndarray = np.einsum("ft,mf->mt", power_FT, _mel_filters(rate_hz), optimize=True)
    return power_MT


def _level_db(power_MT: np.ndarray) -> Float32[np.ndarray, "m t"]:
    level_MT: np.ndarray = 10.0 * np.log10(np.maximum(LEAST_POWER, power_MT))
    floored_MT: np.ndarray = np.maximum(level_MT, level_MT.max() - RANGE_DB)
    return floored_MT


@cache
def _hann() -> Float64[np.ndarray, " w"]:
    from scipy.signal import get_window  # here: 0.3 s that reductions over stored features do not need

    return np.asarray(get_window("hann", WINDOW_SAMPLES, fftbins=True))


@cache
def _mel_filters(rate_hz: int) -> Float32[np.ndarray, "m f"]:
    return mel_filters(rate_hz, window=WINDOW_SAMPLES, bands=MEL_BANDS)
