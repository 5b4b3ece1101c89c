"""The scenes: what is seen and heard fits the event times and the words, by plain measurements."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from uniform_core.datasets import ProceduralConfig
from uniform_core.datasets.scenes import SCENES, Scene
from uniform_core.datasets.scenes import base as scene_base
from uniform_core.datasets.scenes.base import COLOURS
from uniform_core.datasets.scenes.canvas import Canvas
from uniform_core.datasets.scenes.events import draw_events
from uniform_core.seeds import numpy_rng

RATE_HZ = 16_000
CONFIG = ProceduralConfig(never_trained=None)
HUES = {name: colorsys.rgb_to_hsv(*colour)[0] for name, colour in COLOURS.items()}


def scenes_of(label: str, count: int = 20) -> list[Scene]:
    return [CONFIG.scene("instrument", label, form="short", index=index) for index in range(count)]


def small_frames(scene: Scene) -> np.ndarray:
    """float [T, 32, 32, 3]: what is left at the size that the tiny preset learns from."""
    frames = scene.frames(rate_hz=12, size_px=64)
    return frames.reshape(len(frames), 32, 2, 32, 2, 3).mean((2, 4)) / 255.0


def colour_seen(frames: np.ndarray) -> str:
    """The colour word whose hue the strongly coloured pixels are nearest to."""
    pixels = frames.reshape(-1, 3)
    chroma = pixels.max(1) - pixels.min(1)
    vivid = pixels[chroma > 0.35]
    hues = [colorsys.rgb_to_hsv(*pixel)[0] for pixel in vivid[:: max(1, len(vivid) // 200)]]
    votes = [min(HUES, key=lambda name: abs((hue - HUES[name] + 0.5) % 1 - 0.5)) for hue in hues]
    return max(set(votes), key=votes.count)


def pitch_heard_hz(waveform: np.ndarray) -> float:
    """The median frequency of the power below 4 kHz (above lies the spray of splashes)."""
    power = np.abs(np.fft.rfft(waveform)) ** 2
    frequency = np.fft.rfftfreq(len(waveform), 1 / RATE_HZ)
    total = np.cumsum(np.where((frequency > 100) & (frequency < 4000), power, 0.0))
    return float(frequency[np.searchsorted(total, total[-1] / 2)])


@pytest.mark.parametrize("label", list(SCENES))
def test_colour_can_be_seen_at_the_size_of_the_tiny_preset(label: str):
    for scene in scenes_of(label, 10):
        assert colour_seen(small_frames(scene)) == scene.attributes["colour"], scene.caption


@pytest.mark.parametrize("label", [name for name, scene in SCENES.items() if "size" in scene.choices])
def test_size_can_be_seen(label: str):
    """Large things colour more pixels than small ones; waves differ in how much that changes."""
    areas: dict[str, list[float]] = {"small": [], "large": []}
    for scene in scenes_of(label):
        frames = small_frames(scene)
        chroma = frames.max(-1) - frames.min(-1)
        area = (chroma[:, :24] > 0.3).mean((1, 2))  # above the water and the floor
        areas[scene.attributes["size"]].append(float(np.ptp(area) if label == "waves" else area.max()))
    assert min(areas["large"]) > max(areas["small"])


@pytest.mark.parametrize("label", [name for name, scene in SCENES.items() if name != "waves"])
def test_pitch_can_be_heard(label: str):
    heard: dict[str, list[float]] = {"low": [], "high": []}
    for scene in scenes_of(label):
        heard[scene.attributes["pitch"]].append(pitch_heard_hz(scene.waveform(rate_hz=RATE_HZ)))
    assert max(heard["low"]) < 800 < min(heard["high"])


@pytest.mark.parametrize("label", list(SCENES))
def test_sound_is_clear_quiet_between_and_never_clips(label: str):
    for scene in scenes_of(label, 6):
        waveform = scene.waveform(rate_hz=RATE_HZ)
        assert waveform.dtype == np.float32
        assert 0.2 < np.abs(waveform).max() < 0.9
        levels = np.sqrt((waveform[: len(waveform) // 160 * 160].reshape(-1, 160) ** 2).mean(1))
        if label != "siren":  # a siren does not pause
            assert np.quantile(levels, 0.05) < 0.05 * levels.max()


@pytest.mark.parametrize("label", list(SCENES))
def test_sound_rises_at_every_event(label: str):
    for scene in scenes_of(label, 6):
        waveform = scene.waveform(rate_hz=RATE_HZ)
        for time_s in scene.events.inside(scene.duration_s - 0.1):
            sample = round(time_s * RATE_HZ)
            if sample < 800:
                continue
            before = np.square(waveform[sample - 400 : sample]).mean()
            after = np.square(waveform[sample + 80 : sample + 480]).mean()
            assert after > 1.3 * before, (scene.caption, time_s)


def test_the_ball_is_lowest_at_the_impact():
    for scene in scenes_of("bouncing_ball", 6):
        frames = scene.frames(rate_hz=50, size_px=48) / 255.0
        vivid = (frames.max(-1) - frames.min(-1)) > 0.35
        height = (vivid * np.arange(48)[None, :, None]).sum((1, 2)) / vivid.sum((1, 2))
        for time_s in scene.events.inside(scene.duration_s - 0.15):
            if time_s > 0.15:
                near = slice(round(time_s * 50) - 7, round(time_s * 50) + 8)
                assert abs(np.argmax(height[near]) - 7) <= 1


def test_the_lamps_take_turns_at_the_events():
    for scene in scenes_of("siren", 6):
        frames = scene.frames(rate_hz=25, size_px=48).astype(float).sum(-1)
        left_is_on = frames[:, :, :24].mean((1, 2)) > frames[:, :, 24:].mean((1, 2))
        changes_s = (np.flatnonzero(np.diff(left_is_on)) + 1) / 25
        expected = [t for t in scene.events.inside(scene.duration_s) if t < (len(frames) - 1) / 25]
        assert len(changes_s) == len(expected)
        assert np.all((changes_s - expected >= -1e-6) & (changes_s - expected < 1 / 25 + 1e-6))


@pytest.mark.parametrize("label", list(SCENES))
def test_the_picture_changes_with_the_events(label: str):
    """The same scene with other event times is another picture: nothing on screen runs by itself."""
    first = CONFIG.scene("instrument", label, form="short", index=0)
    other = CONFIG.scene("instrument", label, form="short", index=0)
    times = first.events.times_E + 0.2
    other.events = type(first.events)(times, first.events.strengths_E)
    moved = np.abs(other.frames(rate_hz=10, size_px=32).astype(int) - first.frames(rate_hz=10, size_px=32)).max(
        (1, 2, 3)
    )
    assert (moved > 30).mean() > 0.4


@pytest.mark.parametrize("label", list(SCENES))
def test_frames_do_not_depend_on_how_they_are_painted(label: str):
    """A long scene is painted in pieces; the pieces meet."""
    scene = CONFIG.scene("train", label, form="long", index=0)
    frames = scene.frames(rate_hz=25, size_px=32)
    canvas = Canvas.blank(1, 32)
    canvas.backdrop(scene.backdrop_top, scene.backdrop_bottom)
    scene.paint(canvas, np.array([64 / 25]))
    assert frames.shape == (400, 32, 32, 3)
    assert np.abs(canvas.pixels_uint8()[0].astype(int) - frames[64]).max() <= 1


def test_events_keep_their_distance_and_surround_the_take():
    events = draw_events(numpy_rng("test"), period_s=0.5, jitter=0.2, duration_s=2.0)
    gaps = np.diff(events.times_E)
    assert gaps.min() >= 0.4 - 1e-6
    assert gaps.max() <= 0.6 + 1e-6
    assert events.times_E[0] < -1.4
    assert events.times_E[-1] > 3.0
    assert all(0 <= t < 2.0 for t in events.inside(2.0))


def test_turns_are_whole_at_the_events_and_never_go_back():
    events = draw_events(numpy_rng("test"), period_s=0.5, jitter=0.2, duration_s=2.0)
    turns = events.turns(np.linspace(-1.0, 2.5, 500))
    assert np.all(np.diff(turns) > 0)
    np.testing.assert_allclose(events.turns(events.times_E[2:6]), [2, 3, 4, 5], atol=1e-9)
    np.testing.assert_allclose(events.nearest_s(events.times_E[2:6] + 0.1), 0.1, atol=1e-9)


def test_a_disc_has_its_area_and_stays_in_the_picture():
    canvas = Canvas.blank(2, 64)
    canvas.disc(0.5, np.array([0.5, 1.2]), 0.25, colour=(1.0, 0.5, 0.0))
    assert canvas.pixels_CTHW[0, 0].mean() == pytest.approx(np.pi * 0.25**2, rel=0.02)
    assert canvas.pixels_CTHW[1, 0].mean() == pytest.approx(0.5 * np.pi * 0.25**2, rel=0.02)
    assert canvas.pixels_CTHW[2].max() == 0
    assert 0 < canvas.pixels_CTHW[0, 1].mean() < 0.05


@pytest.mark.parametrize("label", list(SCENES))
def test_nothing_jumps_where_one_run_of_frames_ends(label: str, monkeypatch: pytest.MonkeyPatch):
    """Long takes are painted run by run: what an event paints far from itself must not begin or end with a run."""
    scene = CONFIG.scene("train", label, form="short", index=1)
    whole_THWC = scene.frames(rate_hz=25, size_px=64).astype(int)
    monkeypatch.setattr(scene_base, "_CHUNK_FRAMES", 7)
    assert np.abs(scene.frames(rate_hz=25, size_px=64) - whole_THWC).max() <= 2
