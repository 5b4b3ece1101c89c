"""Onsets of sound, by librosa's detector with its defaults: its arithmetic is part of AV-align's definition."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32


def resample_for_onsets(
    waveform_N: Float[np.ndarray, " n"], *, rate_hz: int, onset_rate_hz: int | None
) -> tuple[Float32[np.ndarray, " m"], int]:
    """The waveform at the rate that onsets are found at (soxr, high quality), and that rate."""
    import librosa  # here: it takes a second to import

    if onset_rate_hz is None or onset_rate_hz == rate_hz:
        return waveform_N.astype(np.float32), rate_hz
    resampled = librosa.resample(waveform_N.astype(np.float32), orig_sr=rate_hz, target_sr=onset_rate_hz)
    return np.asarray(resampled, dtype=np.float32), onset_rate_hz


def onset_times(waveform_N: Float[np.ndarray, " n"], *, rate_hz: int, onset_rate_hz: int | None = 22_050) -> np.ndarray:
    """Times of onsets in seconds, float64, ascending; none for silence or for a clip shorter than one window."""
    from librosa import frames_to_time
    from librosa.onset import onset_detect, onset_strength

    samples, rate = resample_for_onsets(waveform_N, rate_hz=rate_hz, onset_rate_hz=onset_rate_hz)
    if len(samples) < WINDOW_SAMPLES or not samples.any():
        return np.zeros(0)
    envelope = onset_strength(y=samples, sr=rate)
    frames = onset_detect(onset_envelope=envelope, sr=rate)
    return np.asarray(frames_to_time(frames, sr=rate), dtype=np.float64)


WINDOW_SAMPLES = 2048  # librosa's default n_fft
