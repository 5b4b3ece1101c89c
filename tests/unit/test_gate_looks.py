"""What the gate looks at without nets: sketches that copies are found by, gauges of colour, size and pitch."""

from __future__ import annotations

import numpy as np
import pytest

from uniform_core.metrics.gauges import area_of, colour_of, pitch_of
from uniform_core.metrics.sketch import mel_sketch, nearest_distances, video_sketch


@pytest.mark.parametrize("shift", [-5, 0, 7])
def test_a_copy_is_found_at_every_shift_in_time(shift: int) -> None:
    rng = np.random.default_rng(0)
    known = rng.uniform(0, 255, (6, 24, 12))
    copy = known[4:5].copy()
    if shift > 0:
        copy[:, shift:] = known[4:5, :-shift]
    elif shift < 0:
        copy[:, :shift] = known[4:5, -shift:]
    distance, place = nearest_distances(copy, known)
    assert place.tolist() == [4]
    assert distance[0] == pytest.approx(0.0, abs=0.1)  # rounding of float32 beside squares of 255


def test_nearest_distances_equal_the_slow_loop() -> None:
    rng = np.random.default_rng(1)
    clips, others = rng.normal(size=(4, 8, 3)), rng.normal(size=(5, 8, 3))
    slow = np.full((4, 5), np.inf)
    for i, clip in enumerate(clips):
        for j, other in enumerate(others):
            for shift in range(-4, 5):
                a = clip[max(0, shift) : 8 + min(0, shift)]
                b = other[max(0, -shift) : 8 + min(0, -shift)]
                slow[i, j] = min(slow[i, j], np.sqrt(((a - b) ** 2).mean()))
    found, places = nearest_distances(clips, others)
    assert found == pytest.approx(slow.min(axis=1), rel=1e-5)
    assert places.tolist() == slow.argmin(axis=1).tolist()


def test_sketches_are_small_and_keep_time() -> None:
    frames = np.zeros((24, 32, 48, 3), np.uint8)
    frames[12:] = 200
    sketch = video_sketch(frames)
    assert sketch.shape == (24, 8 * 8 * 3)
    assert (sketch[11].max(), sketch[12].min()) == (0, 200)
    mel = np.zeros((96, 64), np.float32)
    mel[48:] = 1.0
    heard = mel_sketch(mel, steps=24)
    assert heard.shape == (24, 32)
    assert (heard[11].max(), heard[12].min()) == (0.0, 1.0)


def test_gauges_read_hue_area_and_pitch() -> None:
    def clip(colour: tuple[int, int, int], share: float = 0.5) -> np.ndarray:
        frames = np.full((4, 20, 20, 3), 60, np.uint8)
        frames[:, : round(20 * share)] = colour
        return frames

    red, green, blue = (colour_of(clip(colour)) for colour in ((220, 30, 30), (30, 220, 30), (30, 30, 220)))
    assert red == pytest.approx([1.0, 0.0], abs=0.05)
    assert green == pytest.approx([-0.5, np.sqrt(0.75)], abs=0.05)  # a third of the circle on
    assert blue == pytest.approx([-0.5, -np.sqrt(0.75)], abs=0.05)
    assert np.linalg.norm(colour_of(clip((60, 60, 60)))) < 1e-3
    faint = clip((220, 30, 30), 0.25)
    faint[faint[..., 0] == 60] = (60, 60, 110)
    assert colour_of(faint) == pytest.approx(red, abs=1e-3)  # a backdrop with a tint has no say
    assert area_of(clip((220, 30, 30), 0.25))[0] == pytest.approx(0.25)
    low, high = np.full((8, 64), -11.5), np.full((8, 64), -11.5)
    low[:, 5], high[:, 50] = -1.0, -1.0
    assert pitch_of(low)[0] == pytest.approx(5.0, abs=0.1)
    assert pitch_of(high)[0] == pytest.approx(50.0, abs=0.1)
