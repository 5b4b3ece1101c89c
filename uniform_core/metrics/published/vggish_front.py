"""Waveform → the log-mel examples of VGGish, in float64.

Axes: N samples, T frames, F mel bands, E examples.
Source: Google's `mel_features`, as torchvggish has it: periodic Hann of 25 ms, hop 10 ms, magnitude (not power), HTK's
mel scale with triangles that are straight in mel and not in Hz, log(x + 0.01), examples of 0.96 s that do not overlap.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, Float64
from numpy.lib.stride_tricks import sliding_window_view

from uniform_core.metrics.published.sound import RATE_HZ, require_waveform

WINDOW, HOP, TRANSFORM = 400, 160, 512
BANDS, LOW_HZ, HIGH_HZ = 64, 125.0, 7500.0
LOG_OFFSET = 0.01
EXAMPLE_FRAMES = 96
MIN_SAMPLES = WINDOW + (EXAMPLE_FRAMES - 1) * HOP  # of one example: 0.975 s


def examples_of(samples: int) -> int:
    """How many examples so many samples give: none is padded, and what is left over at the end is dropped.

    >>> examples_of(64_000), examples_of(32_000), examples_of(15_599)
    (4, 2, 0)
    """
    return max(0, 1 + (samples - WINDOW) // HOP) // EXAMPLE_FRAMES


def log_mel_examples(waveform_N: Float[np.ndarray, " n"]) -> Float64[np.ndarray, "e 96 64"]:
    """The examples of a waveform in [-1, 1] at 16 kHz. Raises ConfigError for one shorter than an example."""
    require_waveform(waveform_N, least=MIN_SAMPLES, net="VGGish")
    frames_TW = sliding_window_view(waveform_N.astype(np.float64), WINDOW)[::HOP]
    kept_TW = frames_TW[: examples_of(len(waveform_N)) * EXAMPLE_FRAMES]
    magnitude_TS = np.abs(np.fft.rfft(kept_TW * _hann(), TRANSFORM))
    log_mel_TF: np.ndarray = np.log(magnitude_TS @ mel_matrix() + LOG_OFFSET)
    return log_mel_TF.reshape(-1, EXAMPLE_FRAMES, BANDS)


@cache
def _hann() -> Float64[np.ndarray, " w"]:
    hann_W: np.ndarray = 0.5 - 0.5 * np.cos(2 * np.pi / WINDOW * np.arange(WINDOW))
    return hann_W


@cache
def mel_matrix() -> Float64[np.ndarray, "s f"]:
    """The weight of each frequency in each band; that of 0 Hz is zero everywhere."""
    mel_S = _mel_of(np.linspace(0.0, RATE_HZ / 2, TRANSFORM // 2 + 1))
    low_mel, high_mel = _mel_of(np.array([LOW_HZ, HIGH_HZ]))
    edge_mel = np.linspace(low_mel, high_mel, BANDS + 2)
    below, centre, above = edge_mel[:-2], edge_mel[1:-1], edge_mel[2:]
    rising_SF = (mel_S[:, None] - below) / (centre - below)
    falling_SF = (above - mel_S[:, None]) / (above - centre)
    weights_SF: np.ndarray = np.maximum(0.0, np.minimum(rising_SF, falling_SF))
    weights_SF[0] = 0.0
    return weights_SF


def _mel_of(hz: np.ndarray) -> np.ndarray:
    """HTK's scale."""
    mel: np.ndarray = 1127.0 * np.log(1.0 + hz / 700.0)
    return mel
