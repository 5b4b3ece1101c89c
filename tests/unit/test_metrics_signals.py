"""Onsets and motion on signals whose events are known."""

import numpy as np
import pytest

from uniform_core.metrics.motion import motion_trajectory
from uniform_core.metrics.onsets import onset_times

RATE_HZ = 16_000


def clicks(*times_s: float) -> np.ndarray:
    track = np.random.default_rng(0).normal(0, 1e-3, 2 * RATE_HZ).astype(np.float32)
    for time_s in times_s:
        start = round(time_s * RATE_HZ)
        track[start : start + 400] += np.sin(np.arange(400) * 0.8).astype(np.float32) * np.linspace(1, 0, 400)
    return track


def test_onsets_come_shortly_after_their_clicks():
    found = onset_times(clicks(0.5, 1.0, 1.5), rate_hz=RATE_HZ)
    for time_s in (0.5, 1.0, 1.5):
        assert np.abs(found - time_s).min() < 0.04


@pytest.mark.parametrize("samples", [0, 100, 2047, 32_000])
def test_silence_and_sound_shorter_than_a_window_have_no_onsets(samples: int):
    assert len(onset_times(np.zeros(samples, dtype=np.float32), rate_hz=RATE_HZ)) == 0
    if samples < 1000:
        assert len(onset_times(np.ones(samples, dtype=np.float32), rate_hz=RATE_HZ)) == 0


def test_motion_peaks_where_the_picture_jumps():
    frames = np.full((12, 64, 64, 3), 20, dtype=np.uint8)
    for index in range(12):
        left = 10 if index < 6 else 18
        frames[index, 20:40, left : left + 20] = 220
    motion = motion_trajectory(iter(frames))
    assert motion.shape == (12,)
    assert motion.argmax() == 6
    assert motion[0] == motion[1]
    assert motion[3] == motion[4]  # two still pairs tie exactly


@pytest.mark.parametrize("count", [0, 1])
def test_motion_of_fewer_than_two_frames_is_zero(count: int):
    assert motion_trajectory(iter(np.zeros((count, 32, 32, 3), dtype=np.uint8))).tolist() == [0.0] * count
