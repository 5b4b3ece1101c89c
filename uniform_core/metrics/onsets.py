"""Onsets of sound by librosa's rule, whose arithmetic is part of AV-align's definition: peaks of the onset strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from uniform_core.metrics.onset_strength import HOP_SAMPLES, WINDOW_SAMPLES, onset_strength


@dataclass(frozen=True)
class PeakRule:
    """What a peak is, in frames: the highest of its neighbours, and above their mean by `delta`.

    It is compared with the `*_before` frames before it and with `*_after` frames from itself on; `rest` frames after
    a peak are passed over.
    """

    max_before: int
    max_after: int
    mean_before: int
    mean_after: int
    rest: int
    delta: float = 0.07

    @classmethod
    def at(cls, rate_hz: int) -> PeakRule:
        """librosa's rule at a sample rate: highest of 30 ms, above the mean of 200 ms, at least 30 ms apart."""
        short, long = int(0.03 * rate_hz // HOP_SAMPLES), int(0.10 * rate_hz // HOP_SAMPLES)
        return cls(max_before=short, max_after=1, mean_before=long, mean_after=long + 1, rest=short)


def onset_times(waveform_N: Float[np.ndarray, " n"], *, rate_hz: int, onset_rate_hz: int | None = 22_050) -> np.ndarray:
    """Times of onsets in seconds, float64, ascending; none for silence or for a clip shorter than one window."""
    samples, rate = resample_for_onsets(waveform_N, rate_hz=rate_hz, onset_rate_hz=onset_rate_hz)
    if len(samples) < WINDOW_SAMPLES or not samples.any():
        return np.zeros(0)
    frames = onset_frames(onset_strength(samples, rate_hz=rate), rule=PeakRule.at(rate))
    return np.asarray(frames * HOP_SAMPLES / float(rate))


def resample_for_onsets(
    waveform_N: Float[np.ndarray, " n"], *, rate_hz: int, onset_rate_hz: int | None
) -> tuple[Float32[np.ndarray, " m"], int]:
    """The waveform at the rate that onsets are found at (soxr, high quality), and that rate."""
    import soxr  # here: reductions over stored onsets do not need it

    heard = waveform_N.astype(np.float32)
    if onset_rate_hz is None or onset_rate_hz == rate_hz:
        return heard, rate_hz
    resampled = np.zeros(int(np.ceil(len(heard) * (onset_rate_hz / rate_hz))), dtype=np.float32)
    made = soxr.resample(heard, rate_hz, onset_rate_hz, quality="soxr_hq")[: len(resampled)]
    resampled[: len(made)] = made
    return resampled, onset_rate_hz


def onset_frames(strength_T: Float32[np.ndarray, " t"], *, rule: PeakRule) -> Int64[np.ndarray, " k"]:
    """The frames of the peaks of an onset strength, which is first stretched to 0 … 1; none where it is flat.

    A frame is a peak or not by its neighbours alone, except that a peak makes the `rest` frames after it none.
    """
    scaled_T = strength_T - strength_T.min()
    scaled_T /= scaled_T.max() + np.finfo(np.float32).tiny
    if not scaled_T.any():
        return np.zeros(0, dtype=np.int64)
    peaks: list[int] = []
    for frame in np.flatnonzero(scaled_T > 0).tolist():
        if (not peaks or frame - peaks[-1] > rule.rest) and _is_peak(scaled_T, frame, rule):
            peaks.append(frame)
    return np.array(peaks, dtype=np.int64)


def _is_peak(scaled_T: np.ndarray, frame: int, rule: PeakRule) -> bool:
    value = scaled_T[frame]
    if value < scaled_T[max(0, frame - rule.max_before) : frame + rule.max_after].max():
        return False
    near = scaled_T[max(0, frame - rule.mean_before) : frame + rule.mean_after]
    # librosa's compiled code adds up in float32, one after the other, and divides in float64.
    mean = float(near.cumsum(dtype=np.float32)[-1]) / len(near)
    return bool(float(value) >= mean + float(np.float32(rule.delta)))
