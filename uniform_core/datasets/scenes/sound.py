"""Small sounds, made from sines and shaped noise. Axes: N samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ROOM_TONE = 5e-4  # -66 dBFS: a quiet room. Digital silence would be a hole 12 nats deep that a model must learn
PEAK = 0.8


def times(seconds: float, rate_hz: int) -> np.ndarray:
    """The times of the samples of a sound of this length."""
    return np.arange(round(seconds * rate_hz), dtype=np.float32) / np.float32(rate_hz)


def struck(
    frequency_hz: float, *, decay_s: float, rate_hz: int, partials: Sequence[tuple[float, float]] = ((1.0, 1.0),)
) -> np.ndarray:
    """A struck body: partials (ratio, gain) that die away, the higher ones sooner. Peak about 1."""
    t_N = times(6.0 * decay_s, rate_hz)
    body_N = np.zeros_like(t_N)
    for ratio, gain in partials:
        if ratio * frequency_hz < 0.45 * rate_hz:
            body_N += (
                np.float32(gain)
                * np.exp(-t_N * (ratio**0.5 / decay_s))
                * np.sin(2 * np.pi * ratio * frequency_hz * t_N)
            )
    return _soft_start(body_N, rate_hz)


def chirp(start_hz: float, end_hz: float, *, decay_s: float, rate_hz: int) -> np.ndarray:
    """A tone that glides from one pitch to another while it dies away."""
    t_N = times(6.0 * decay_s, rate_hz)
    pitch_N = end_hz + (start_hz - end_hz) * np.exp(-t_N / (0.7 * decay_s))
    phase_N = 2 * np.pi * np.cumsum(pitch_N) / rate_hz
    return _soft_start(np.sin(phase_N) * np.exp(-t_N / decay_s), rate_hz)


def noise_band(
    rng: np.random.Generator, *, centre_hz: float, octaves: float, seconds: float, rate_hz: int
) -> np.ndarray:
    """Noise around a pitch: a bell of this many octaves (standard deviation) over log frequency. RMS 1."""
    count = round(seconds * rate_hz)
    spectrum = np.fft.rfft(rng.standard_normal(count).astype(np.float32))
    frequency_hz = np.fft.rfftfreq(count, 1.0 / rate_hz)
    spectrum *= np.exp(-0.5 * (np.log2(np.maximum(frequency_hz, 1.0) / centre_hz) / octaves) ** 2)
    noise_N = np.fft.irfft(spectrum, count)
    return np.asarray(noise_N / (noise_N.std() + 1e-12), np.float32)


def burst(rng: np.random.Generator, *, centre_hz: float, octaves: float, decay_s: float, rate_hz: int) -> np.ndarray:
    """A puff of noise around a pitch that dies away. Peak about 1."""
    noise_N = noise_band(rng, centre_hz=centre_hz, octaves=octaves, seconds=6.0 * decay_s, rate_hz=rate_hz) / 3.0
    t_N = times(6.0 * decay_s, rate_hz)[: len(noise_N)]
    return _soft_start(noise_N * np.exp(-t_N / decay_s), rate_hz)


def place(track_N: np.ndarray, sound_N: np.ndarray, *, time_s: float, gain: float, rate_hz: int) -> None:
    """Add a sound to a track so that it begins at this time; what lies outside the track is left out."""
    start = round(time_s * rate_hz)
    first, last = max(start, 0), min(start + len(sound_N), len(track_N))
    if first < last:
        track_N[first:last] += np.float32(gain) * sound_N[first - start : last - start]


def finish(track_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The track in a quiet room, float32, its peak at most 0.8."""
    room_N = track_N + ROOM_TONE * rng.standard_normal(len(track_N)).astype(np.float32)
    peak = float(np.abs(room_N).max())
    return np.asarray(room_N * min(1.0, PEAK / peak), np.float32)


def _soft_start(sound_N: np.ndarray, rate_hz: int) -> np.ndarray:
    """The sound with 1 ms of ramp before it and 5 % at its end, so that it does not click."""
    ramp = max(2, rate_hz // 1000)
    shaped_N = sound_N.astype(np.float32)
    shaped_N[:ramp] *= np.linspace(0.0, 1.0, ramp, dtype=np.float32)
    tail = max(2, len(shaped_N) // 20)
    shaped_N[-tail:] *= np.linspace(1.0, 0.0, tail, dtype=np.float32)
    return shaped_N
