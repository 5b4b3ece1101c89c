"""Small clips of nobody in particular, for tests of `uniform evaluate --generated`: pictures that move, clicks in time.

A clip is told from another by its number: how fast its square moves, when its clicks come.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from uniform_core.media import write_mp4
from uniform_core.media.wave_file import write_wav

RATE_HZ, FRAMES, SIDE, AUDIO_HZ = 12, 18, 32, 16_000


def frames_of(number: int, *, frames: int = FRAMES) -> np.ndarray:
    """Uint8 [T, H, W, 3]: a light square that jumps at the clicks of the clip."""
    video_THWC = np.full((frames, SIDE, SIDE, 3), 40 + number % 50, np.uint8)
    places = np.cumsum([3 if _clicks(number, at / RATE_HZ) else 1 for at in range(frames)]) % (SIDE - 10)
    for frame_HWC, place in zip(video_THWC, places, strict=True):
        frame_HWC[8:18, place : place + 10] = 220
    return video_THWC


def sound_of(number: int, *, duration_s: float = FRAMES / RATE_HZ) -> np.ndarray:
    """Float32 [N]: clicks on quiet noise, of a pitch of its own."""
    times_s = np.arange(round(duration_s * AUDIO_HZ)) / AUDIO_HZ
    quiet_N = np.random.default_rng(number).normal(0, 1e-3, len(times_s))
    ring_N = 0.5 * np.sin(2 * np.pi * (400 + 37 * (number % 40)) * times_s) * np.exp(-30 * (times_s % _gap(number)))
    return np.asarray(quiet_N + ring_N, np.float32)


def _gap(number: int) -> float:
    return 0.25 + 0.05 * (number % 5)


def _clicks(number: int, time_s: float) -> bool:
    return time_s % _gap(number) < 1 / RATE_HZ


def write_film(path: Path, number: int, *, sound: int | None = None, is_silent: bool = False) -> Path:
    """A film; its sound may be that of another number, or none."""
    heard_N = None if is_silent else sound_of(number if sound is None else sound)
    return write_mp4(path, frames_of(number), heard_N, video_rate_hz=float(Fraction(RATE_HZ)), audio_rate_hz=AUDIO_HZ)


def write_films(folder: Path, numbers: Sequence[int], *, shift: int = 0) -> Path:
    """Films `clip-0000.mp4` and so on, by their number; with the sound of the number that is `shift` later."""
    for number in numbers:
        write_film(folder / f"clip-{number:04d}.mp4", number, sound=number + shift)
    return folder


def write_sounds(folder: Path, numbers: Sequence[int], *, shift: int = 0, duration_s: float = 1.1) -> Path:
    """Sounds by the same names."""
    for number in numbers:
        sound_N1 = sound_of(number + shift, duration_s=duration_s)[:, None]
        write_wav(folder / f"clip-{number:04d}.wav", sound_N1, rate_hz=AUDIO_HZ)
    return folder
