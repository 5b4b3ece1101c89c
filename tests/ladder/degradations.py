"""Ladders: what is done to clips, rung by rung. The first rung leaves them untouched.

Axes: T frames, H height, W width, N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import scipy.signal

from ladder.takes import SPEC, Clip, later
from uniform_core.seeds import numpy_rng

Clips = tuple[Clip, ...]


@dataclass(frozen=True)
class Ladder:
    """`rungs` are strengths above the untouched one, in `unit`; `degraded` is never asked for the untouched."""

    name: str
    about: str
    unit: str
    rungs: tuple[float, ...]
    degraded: Callable[[Clips, float], Clips]


def blurred(clips: Clips, sigma_px: float) -> Clips:
    """Every frame under a Gaussian."""
    return tuple(replace(clip, frames_THW3=_each_blurred(clip.frames_THW3, sigma_px)) for clip in clips)


def grainy(clips: Clips, levels: float) -> Clips:
    """White noise of this standard deviation on every pixel; the same pattern on every rung."""
    return tuple(replace(clip, frames_THW3=_with_grain(clip, levels)) for clip in clips)


def hissing(clips: Clips, snr_db: float) -> Clips:
    """White noise so many dB below the sound's own power; the same pattern on every rung."""
    return tuple(replace(clip, waveform_N=_with_hiss(clip, snr_db)) for clip in clips)


def dull(clips: Clips, cutoff_hz: float) -> Clips:
    """Nothing above a frequency, and nothing moved in time: a Butterworth filter forth and back."""
    filter_sos = scipy.signal.butter(6, cutoff_hz, fs=SPEC.audio_rate_hz, output="sos")
    heard = (scipy.signal.sosfiltfilt(filter_sos, clip.waveform_N).astype(np.float32) for clip in clips)
    return tuple(replace(clip, waveform_N=waveform_N) for clip, waveform_N in zip(clips, heard, strict=True))


def late(clips: Clips, frames: float) -> Clips:
    """The sound so many frames after its picture."""
    return tuple(replace(clip, waveform_N=later(clip, frames)) for clip in clips)


def exchanged(clips: Clips, share: float) -> Clips:
    """This share of the clips, at least two, each with the sound of another of them; who that is is drawn.

    A higher share has the clips of a lower one and more. All sounds together stay what they were.
    """
    drawn = numpy_rng("ladder.partner", clips[0].key).permutation(len(clips))[: max(2, round(share * len(clips)))]
    givers = dict(zip(drawn.tolist(), np.roll(drawn, 1).tolist(), strict=True))
    return tuple(replace(clip, waveform_N=clips[givers.get(n, n)].waveform_N) for n, clip in enumerate(clips))


LADDERS: Mapping[str, Ladder] = {
    ladder.name: ladder
    for ladder in (
        Ladder("picture_blur", "picture: Gaussian blur", "px of 64 (sigma)", (1, 2, 4, 8), blurred),
        Ladder("picture_noise", "picture: white noise", "of 255 levels (sd)", (10, 20, 40, 80), grainy),
        Ladder("sound_noise", "sound: white noise", "dB of SNR", (30, 20, 10, 0), hissing),
        Ladder("sound_low_pass", "sound: low-pass", "Hz", (4000, 2000, 1000, 500), dull),
        Ladder("time_shift", "sound late", "frames of 1/16 s", (0.5, 1, 1.5, 2), late),
        Ladder("wrong_partner", "sound of another clip", "of the clips", (0.25, 0.5, 0.75, 1), exchanged),
    )
}


def _each_blurred(frames_THW3: np.ndarray, sigma_px: float) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(frame_HW3, (0, 0), sigma_px) for frame_HW3 in frames_THW3])


def _with_grain(clip: Clip, levels: float) -> np.ndarray:
    grain_THW3 = numpy_rng("ladder.grain", clip.key).standard_normal(clip.frames_THW3.shape, np.float32)
    return np.clip(np.rint(clip.frames_THW3 + levels * grain_THW3), 0, 255).astype(np.uint8)


def _with_hiss(clip: Clip, snr_db: float) -> np.ndarray:
    hiss_N = numpy_rng("ladder.hiss", clip.key).standard_normal(len(clip.waveform_N), np.float32)
    level = np.sqrt(np.mean(np.square(clip.waveform_N, dtype=np.float64))) * 10 ** (-snr_db / 20)
    return clip.waveform_N + np.float32(level) * hiss_N
