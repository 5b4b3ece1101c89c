"""A screener finds by how much a sound was moved, and tells clips whose picture has the sound from those without."""

from __future__ import annotations

import numpy as np
import pytest

from uniform_core.catalog.tables import all_tables
from uniform_core.metrics.extractors import EvalBatch
from uniform_core.metrics.recipes import NetTraining
from uniform_core.metrics.screening import MAX_OFFSET_S, Screened, TinySyncScreener, screened
from uniform_core.metrics.train_nets import train_sync_net

STEPS, FEATURES, STEP_S = 32, 8, 1 / 16


def unit_steps(seed: int) -> np.ndarray:
    steps_SD = np.random.default_rng(seed).normal(size=(STEPS, FEATURES)).astype(np.float32)
    return steps_SD / np.linalg.norm(steps_SD, axis=1, keepdims=True)


def screen(video_SD: np.ndarray, audio_SD: np.ndarray, max_offset_s: float = MAX_OFFSET_S) -> Screened:
    return screened(video_SD, audio_SD, step_s=STEP_S, max_offset_s=max_offset_s)


@pytest.mark.parametrize("steps", [-8, -3, 0, 1, 8])
def test_the_offset_is_by_how_much_the_sound_comes_later(steps: int) -> None:
    video_SD = unit_steps(1)
    found = screen(video_SD, np.roll(video_SD, steps, axis=0))
    assert found.av_offset_s == pytest.approx(steps * STEP_S)
    assert found.on_screen > 0.8
    assert found.n == 17


def test_what_belongs_to_another_clip_stands_out_less() -> None:
    own = [screen(unit_steps(n), unit_steps(n)).on_screen for n in range(20)]
    others = [screen(unit_steps(n), unit_steps(n + 100)).on_screen for n in range(20)]
    assert min(own) > max(others)


def test_what_never_changes_has_no_offset_and_is_nowhere() -> None:
    still_SD = np.repeat(unit_steps(1)[:1], STEPS, axis=0)
    found = screen(still_SD, still_SD)
    assert (found.av_offset_s, found.on_screen, found.n) == (0.0, pytest.approx(0.0, abs=1e-6), 17)
    assert screen(still_SD, unit_steps(2)).on_screen < 1.0


def test_half_a_clip_must_overlap_and_one_offset_is_compared_with_nothing() -> None:
    assert screen(unit_steps(1), unit_steps(1), max_offset_s=100.0).n == STEPS + 1
    assert screen(unit_steps(1), unit_steps(1), max_offset_s=0.01) == Screened(0.0, 0.0, 1)


def test_the_small_net_finds_a_sound_that_was_moved() -> None:
    """Squares that blink with a tone: the net has heard of 64 others."""
    frames, bins = 16, 16

    def toy(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        clips = rng.integers(0, 30, (n, frames, 16, 16, 3)).astype(np.uint8)
        mels = rng.normal(-9.0, 0.3, (n, 4 * frames, bins)).astype(np.float32)
        for i in range(n):
            for frame in rng.choice(np.arange(0, frames - 1, 2), size=4, replace=False):
                clips[i, frame, 2:14, 4:12] = 230
                mels[i, 4 * frame : 4 * frame + 4, 2:12] += 7.0
        return clips, mels

    clips, mels = toy(64, 1)
    training = NetTraining(steps=60, batch=16, rate=3e-3)
    screener = TinySyncScreener(train_sync_net(clips, mels, ["blink"] * 64, seed=0, training=training))
    seen, heard = toy(24, 2)
    silence = np.zeros((24, 16_000), np.float32)

    def offsets(moved: np.ndarray) -> np.ndarray:
        batch = EvalBatch(seen, moved, silence, video_rate_hz=frames, audio_rate_hz=16_000)
        return np.array([one.av_offset_s for one in screener.screen(batch)])

    in_time, late = offsets(heard), offsets(np.roll(heard, 4 * 3, axis=1))
    assert np.median(np.abs(in_time)) == 0.0
    assert np.median(late) == pytest.approx(3 / frames)
    assert len(screener.fingerprint) == 32
    assert TinySyncScreener(screener.net, max_offset_s=0.1).fingerprint != screener.fingerprint


def test_what_is_said_has_its_columns() -> None:
    assert set(Screened.__dataclass_fields__) <= set(all_tables()["screens"].names)
