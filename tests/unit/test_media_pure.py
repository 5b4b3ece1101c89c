"""The pure parts of media: sizes, ticks, channel rules, sound on a timeline, forms."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, VideoReformatter
from media_files import write

from uniform_core.media import CanonicalForm, CutRule
from uniform_core.media.forms import MAX_OVERLAP, batches
from uniform_core.media.geometry import canonical_size, place, shown_size
from uniform_core.media.mono import channel_weights, to_float, to_mono
from uniform_core.media.picture import Motion, Scaler, plane
from uniform_core.media.sound import SoundTrack, resample
from uniform_core.media.timeline import Ticks
from uniform_core.spec import AVSpec
from uniform_core.types import Window


def test_shown_size_knows_pixel_aspect_and_rotation() -> None:
    assert shown_size(176, 144, pixel_aspect=Fraction(128, 117), rotation_deg=0) == (193, 144)
    assert shown_size(640, 360, pixel_aspect=None, rotation_deg=-90) == (360, 640)
    assert shown_size(640, 360, pixel_aspect=Fraction(1, 5000), rotation_deg=180) == (640, 360)  # nonsense is ignored


def test_canonical_size_keeps_the_aspect_with_even_sides() -> None:
    assert canonical_size(1280, 720, 360) == (640, 360)
    assert canonical_size(193, 144, 96) == (128, 96)
    assert canonical_size(720, 1280, 256) == (256, 456)


def test_frames_of_25_at_17_are_the_last_ones_shown() -> None:
    ticks = Ticks(0.0, 17, count=68, slack_s=1e-6)
    shown = [index for index in range(100) for _ in range(ticks.before((index + 1) / 25))]
    assert shown[:12] == [0, 1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16]
    assert shown[-3:] == [95, 97, 98]
    assert ticks.done
    assert len(shown) == 68


def test_times_rounded_to_milliseconds_do_not_shift_a_frame() -> None:
    ticks = Ticks(0.0, 17, count=170, slack_s=5e-4)
    starts = [round(index / 17, 3) for index in range(171)]
    assert [i for i in range(170) for _ in range(ticks.before(starts[i + 1]))] == list(range(170))


@pytest.mark.parametrize("rule", ["itu", "mean", "first"])
@pytest.mark.parametrize("names", [["FC"], ["FL", "FR"], ["FL", "FR", "FC", "LFE", "BL", "BR"], ["LFE"]])
def test_downmix_cannot_clip(rule: str, names: list[str]) -> None:
    weights = channel_weights(names, rule)  # type: ignore[arg-type]
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()


def test_downmix_of_5_1_hears_the_centre_most_and_the_lfe_not() -> None:
    weights = channel_weights(["FL", "FR", "FC", "LFE", "BL", "BR"], "itu")
    assert weights[2] == max(weights)
    assert weights[3] == 0


@pytest.mark.parametrize("sample_format", ["u8", "s16", "s16p", "s32", "flt", "fltp", "dblp"])
def test_every_sample_format_is_the_same_sound(sample_format: str) -> None:
    wave = np.linspace(-0.5, 0.5, 64, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    frame.rate = 8000
    [converted] = av.AudioResampler(format=sample_format, layout="stereo", rate=8000).resample(frame)
    assert np.abs(to_mono(converted, "mean") - wave).max() < (1 / 100 if sample_format == "u8" else 1e-4)


def test_values_that_are_not_numbers_are_silence() -> None:
    assert to_float(np.array([0.5, np.nan, np.inf], np.float32)).tolist() == [0.5, 0.0, 0.0]


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampling_does_not_move_an_event(rate_hz: int) -> None:
    times_s = np.arange(rate_hz) / rate_hz
    bump = np.exp(-(((times_s - 0.5) / 0.002) ** 2)).astype(np.float32)
    out = resample(bump, rate_hz, to_hz=16_000)
    centre_s = float((out * np.arange(len(out))).sum() / out.sum() / 16_000)
    assert centre_s == pytest.approx(0.5, abs=5e-5)


def test_sound_is_placed_by_time_and_holes_are_known() -> None:
    track = SoundTrack(1000)
    track.push(0.1, np.full(200, 0.5, np.float32), anew=False)
    track.push(0.305, np.full(195, 0.25, np.float32), anew=False)  # 5 ms of jitter: no seam
    track.push(0.6, np.full(200, 1.0, np.float32), anew=False)  # a hole from 0.495
    cut = track.cut(0.0, 1.0, rate_hz=1000)
    assert (cut.late_s, cut.lost_s, cut.short_s) == pytest.approx((0.1, 0.105, 0.2))
    assert cut.waveform_N[[50, 100, 299, 300, 494, 495, 599, 600, 799, 800]].tolist() == pytest.approx(
        [0, 0.5, 0.5, 0.25, 0.25, 0, 0, 1, 1, 0]
    )


def test_overlapping_sound_keeps_what_came_first() -> None:
    track = SoundTrack(1000)
    track.push(0.0, np.ones(100, np.float32), anew=False)
    track.push(0.05, np.zeros(100, np.float32), anew=True)
    assert track.cut(0.0, 0.15, rate_hz=1000).waveform_N.tolist() == [1.0] * 100 + [0.0] * 50


def test_forgotten_sound_is_not_kept() -> None:
    track = SoundTrack(1000)
    for second in range(100):
        track.push(second, np.ones(1000, np.float32), anew=False)
        track.forget(second - 1)
    assert track.cut(99.0, 1.0, rate_hz=1000).lost_s == 0
    assert track.cut(10.0, 1.0, rate_hz=1000).late_s == pytest.approx(1.0)
    assert track.cut(100.5, 1.0, rate_hz=1000).short_s == pytest.approx(1.0)


def test_small_motion_is_motion_and_flicker_is_not() -> None:
    def luma(values: np.ndarray) -> av.VideoFrame:
        frame = av.VideoFrame(64, 64, "yuv420p")
        plane = np.frombuffer(frame.planes[0], np.uint8).reshape(64, -1)
        plane[:, :64] = values
        return frame

    moving, flicker = Motion(), Motion()
    for index in range(8):
        picture = np.full((64, 64), 60, np.uint8)
        flicker.see(luma(picture + index % 2 * 3), 1)
        picture[20:25, index * 4 : index * 4 + 5] = 200
        moving.see(luma(picture), 1)
    assert (moving.is_still, flicker.is_still) == (False, True)
    assert 0 < moving.mean < flicker.mean


def test_crop_squash_and_letterbox() -> None:
    image = np.arange(36 * 64 * 3, dtype=np.uint8).reshape(36, 64, 3)
    for rule, inside in (("crop", 64), ("squash", 64), ("letterbox", 36)):
        placement = place((36, 64), (64, 64), rule)  # type: ignore[arg-type]
        scaled = np.ones((*placement.scaled_HW, 3), np.uint8)
        target = placement.apply(scaled, (64, 64))
        assert target.shape == (64, 64, 3)
        assert target[:, 32, 0].sum() == inside
    assert (place((36, 64), (36, 64), "crop").apply(image, (36, 64)) == image).all()


def test_the_form_of_a_spec_and_what_it_refuses() -> None:
    spec = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=96, hop=250)
    form = CanonicalForm.of(spec)
    assert (form.frames, form.samples, form.short_side_px) == (spec.frames, spec.samples, 96)
    assert form.fingerprint_params() != replace(form, short_side_px=64).fingerprint_params()
    for wrong in ({"short_side_px": 97}, {"duration_s": 1.03}, {"video_rate_hz": 0}):
        with pytest.raises(ValueError):
            replace(form, **wrong)


def test_the_cut_rule_of_a_dataset() -> None:
    spec = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=96, hop=250)
    assert CutRule.of(spec) == CutRule(2.0, 2.0)
    assert CutRule.of(spec, 3.0, 1.0) == CutRule(3.0, 1.0)
    with pytest.raises(ValueError):
        CutRule(10.0, 0.1)


def test_batches_bound_overlap_and_lose_nothing() -> None:
    windows = [Window(i * 0.05, i * 0.05 + 4.0) for i in range(200)]
    groups = list(batches(windows[::-1]))
    assert sorted((w for group in groups for w in group), key=lambda w: w.start_s) == windows
    for group in groups:
        for window in group:
            assert sum(w.start_s <= window.start_s < w.end_s for w in group) <= MAX_OVERLAP


def noise(colorspace: int, color_range: ColorRange) -> av.VideoFrame:
    frame = av.VideoFrame(48, 32, "yuv420p")
    for piece in frame.planes:
        piece.update(np.random.default_rng(0).integers(0, 256, piece.buffer_size, np.uint8).tobytes())
    frame.colorspace, frame.color_range = colorspace, color_range
    return frame


@pytest.mark.parametrize("color_range", [ColorRange.UNSPECIFIED, ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("colorspace", [1, 2, 4, 5, 6, 7, 9])
def test_a_picture_that_needs_no_scaling_is_not_copied_and_any_other_is_as_ffmpeg_makes_it(
    colorspace: int, color_range: ColorRange
) -> None:
    frame = noise(colorspace, color_range)
    told = noise(colorspace, ColorRange.JPEG if color_range == ColorRange.JPEG else ColorRange.MPEG)
    full = VideoReformatter().reformat(told, 48, 32, "yuv420p", dst_colorspace=5, dst_color_range=ColorRange.MPEG)
    scaled = Scaler("yuv420p").scale(frame, (48, 32))
    assert all(np.array_equal(plane(scaled, index), plane(full, index)) for index in range(3))
    is_so = colorspace in (2, 5, 6) and color_range != ColorRange.JPEG
    assert not is_so or scaled is frame
    assert Scaler("yuv420p").scale(frame, (24, 16)) is not frame
    assert Scaler("rgb24").scale(frame, (48, 32)) is not frame


@pytest.mark.parametrize("turned", [{"rotation": 180}, {"rotation": 180, "mirrored": True}], ids=str)
def test_a_picture_that_is_shown_turned_is_turned_whatever_its_size(turned: dict[str, Any], tmp_path: Path) -> None:
    with av.open(str(write(tmp_path / "v.mp4", **turned))) as file:
        frame = list(file.decode(video=0))[1]  # its number makes it unlike its mirror image
        upright = Scaler("yuv420p").scale(frame, (frame.width, frame.height))
        shown = plane(frame, 0)[::-1] if "mirrored" in turned else np.rot90(plane(frame, 0), 2)
        assert not np.array_equal(shown, plane(frame, 0))
        assert np.array_equal(plane(upright, 0), shown)
