"""Prints know a clip again after another encoder, size and gain, and do not take clips of one class for each other."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from uniform_core.build import build_run
from uniform_core.datasets.procedural import ProceduralConfig
from uniform_core.datasets.rendering import encode_mp4
from uniform_core.media import CanonicalClip, CanonicalForm, CutRule, Sandbox
from uniform_core.media.prints import (
    MOMENTS,
    PICTURE_HEX,
    SAME_PICTURE,
    SAME_SOUND,
    SIGNS,
    PictureHash,
    picture_distance,
    picture_distances,
    picture_words,
    sound_distance,
    sound_distances,
    sound_print,
    sound_words,
    thumbnail,
)
from uniform_core.types import Window

CONFIG = ProceduralConfig()
RATE_HZ, FRAMES, SAMPLES = 16_000, 32, 32_000
FORM = CanonicalForm(duration_s=2.0, video_rate_hz=16, short_side_px=32)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
ANEW = {  # size, crf, sampling rate, bit rate, gain
    "mild": ((64, 64), 23, 16_000, 64_000, 1.0),
    "larger, at another rate and quieter": ((90, 90), 28, 22_050, 48_000, 0.4),
}


def hash_of(luma_THW: np.ndarray) -> str | None:
    made = PictureHash(len(luma_THW))
    for luma_HW in luma_THW:
        made.see(luma_HW, 1)
    return made.hex


def quantised(waveform_N: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(waveform_N * 32768), -32768, 32767).astype(np.int16)


def noise(seed: int, count: int = SAMPLES, level: float = 3000.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, count).astype(np.int16)


def pictures(seed: int, *, frames: int = FRAMES, size: int = 64) -> np.ndarray:
    """Smooth pictures that change at random, uint8 [T, H, W]."""
    coarse_TSS = np.random.default_rng(seed).uniform(20, 230, (frames, 8, 8)).astype(np.float32)
    return coarse_TSS.repeat(size // 8, axis=1).repeat(size // 8, axis=2).astype(np.uint8)


def tiny_prints(split: str) -> tuple[list[str], list[str], list[str]]:
    """Classes, hashes and prints of the clips that the preset `tiny` has of a split, long files cut into windows."""
    config = build_run("tiny")
    data, spec = config.data, config.spec
    assert isinstance(data, ProceduralConfig)
    labels, hashes, sounds = [], [], []
    for item in (item for item in data.items(spec) if item.split == split):
        form, index = item.source_id.rsplit("/", 1)[1].split("-")
        scene = data.scene(split, str(item.label), form=form, index=int(index))
        frames_THW3 = scene.frames(rate_hz=2 * spec.video_rate_hz, size_px=spec.width_px)
        luma_THW = (frames_THW3.astype(np.float32) @ LUMA).astype(np.uint8)
        waveform_N = scene.waveform(rate_hz=spec.audio_rate_hz)
        for window in item.windows or (Window(0.0, spec.duration_s),):
            first = round(2 * spec.video_rate_hz * window.start_s)
            picture = hash_of(luma_THW[first : first + 2 * spec.frames : 2])
            begin = round(spec.audio_rate_hz * window.start_s)
            sound = sound_print(quantised(waveform_N[begin : begin + spec.samples]), spec.audio_rate_hz)
            assert picture is not None
            assert sound is not None
            labels.append(str(item.label)), hashes.append(picture), sounds.append(sound)
    return labels, hashes, sounds


def test_of_all_clips_of_the_preset_tiny_none_is_taken_for_a_held_out_one() -> None:
    """Pictures alone agree for some clips of a class, which is why both must."""
    train, held_out = tiny_prints("train"), tiny_prints("held_out")
    one, other = (grid.ravel() for grid in np.indices((len(train[0]), len(held_out[0]))))
    of_pictures = picture_distances(picture_words(train[1])[one], picture_words(held_out[1])[other])
    of_sounds = sound_distances(sound_words(train[2])[one], sound_words(held_out[2])[other])
    assert len(one) > 100_000
    assert ((of_pictures <= SAME_PICTURE) & (of_sounds <= SAME_SOUND)).sum() == 0
    assert np.maximum(of_pictures / SAME_PICTURE, of_sounds / SAME_SOUND).min() > 1.05  # 1.12 was measured
    assert 0 < (of_pictures <= SAME_PICTURE).sum() < 300
    is_other_class = np.array(train[0])[one] != np.array(held_out[0])[other]
    assert of_pictures[is_other_class].min() > 2 * SAME_PICTURE
    assert np.median(of_pictures[is_other_class]) == pytest.approx(0.5, abs=0.05)
    assert np.median(of_sounds[is_other_class]) == pytest.approx(0.5, abs=0.05)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def canonical(sandbox: Sandbox, folder: Path, data: bytes) -> CanonicalClip:
    (folder / "source.mp4").write_bytes(data)
    [clip] = sandbox.canonicalise(
        folder / "source.mp4",
        [Window(0.1, 2.1)],
        cut=CutRule(2.0, 2.0),
        form=FORM,
        out_dir=folder,
        names=lambda _: "c.mp4",
    )
    assert isinstance(clip, CanonicalClip), clip
    return clip


@pytest.mark.parametrize("how", ANEW)
def test_a_clip_is_known_again_after_another_encoder(sandbox: Sandbox, tmp_path: Path, how: str) -> None:
    for label in CONFIG.labels:
        scene = CONFIG.scene("train", label, form="short", index=0)
        frames_THW3, waveform_N = scene.frames(rate_hz=25, size_px=64), scene.waveform(rate_hz=RATE_HZ)
        plain = encode_mp4(frames_THW3, waveform_N, video_rate_hz=25, audio_rate_hz=RATE_HZ)
        one, other = (
            canonical(sandbox, tmp_path, data) for data in (plain, encoded_anew(frames_THW3, waveform_N, *ANEW[how]))
        )
        assert one.clip_sha256 != other.clip_sha256
        assert None not in (one.picture_hash, one.sound_print, other.picture_hash, other.sound_print)
        assert picture_distance(str(one.picture_hash), str(other.picture_hash)) <= 0.8 * SAME_PICTURE, label
        assert sound_distance(str(one.sound_print), str(other.sound_print)) <= SAME_SOUND, label


def encoded_anew(
    frames_THW3: np.ndarray, waveform_N: np.ndarray, size: tuple[int, int], crf: int, rate: int, bits: int, gain: float
) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        video: Any = out.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": str(crf)})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio: Any = out.add_stream("aac", rate=rate, layout="mono")
        audio.bit_rate = bits
        for index, picture_HW3 in enumerate(frames_THW3):
            frame = av.VideoFrame.from_ndarray(picture_HW3, format="rgb24")
            frame = frame.reformat(width=size[0], height=size[1], format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        wave_1N = np.ascontiguousarray((gain * waveform_N)[None], np.float32)
        sound = av.AudioFrame.from_ndarray(wave_1N, format="fltp", layout="mono")
        sound.rate, sound.pts, sound.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        for piece in av.AudioResampler(format="fltp", layout="mono", rate=rate).resample(sound):
            out.mux(audio.encode(piece))
        out.mux(audio.encode(None))
    return buffer.getvalue()


def test_size_and_shape_of_a_picture_do_not_matter() -> None:
    small = pictures(1, size=64)
    large = small.repeat(5, axis=1).repeat(3, axis=2)  # 320 x 192: also squashed
    one, other = hash_of(small), hash_of(large)
    assert one is not None
    assert other is not None
    assert len(one) == len(other) == PICTURE_HEX
    assert picture_distance(one, other) < 0.01
    assert 0.4 < picture_distance(one, str(hash_of(pictures(2)))) < 0.6


def test_a_thumbnail_is_made_of_means() -> None:
    luma_HW = np.arange(64 * 96, dtype=np.uint32).reshape(64, 96) % 251
    expected = luma_HW.reshape(32, 2, 32, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(thumbnail(luma_HW.astype(np.uint8)), expected, rtol=1e-5)
    assert thumbnail(np.full((10, 7), 9, np.uint8)).tolist() == np.full((32, 32), 9.0).tolist()


def test_held_pictures_count_for_as_long_as_they_are_shown() -> None:
    luma_THW = pictures(3)
    held = PictureHash(FRAMES)
    for luma_HW in luma_THW[::8]:
        held.see(luma_HW, 8)
    assert held.hex == hash_of(luma_THW[::8].repeat(8, axis=0))
    assert PictureHash(FRAMES).hex is None


def test_nothing_to_know_again_gives_no_print() -> None:
    flicker_THW = np.full((FRAMES, 64, 64), 90, np.uint8) + np.random.default_rng(0).integers(0, 2, (FRAMES, 64, 64))
    assert hash_of(flicker_THW.astype(np.uint8)) is None
    assert hash_of(pictures(1)[:1].repeat(MOMENTS, axis=0)) is not None  # still, but a picture
    click = np.zeros(SAMPLES, np.int16)
    click[9000:9040] = 20_000
    for silent in (np.zeros(SAMPLES, np.int16), click, noise(0, 100)):
        assert sound_print(silent, RATE_HZ) is None


def test_silence_makes_no_two_sounds_alike() -> None:
    """Two bursts in the same long silence share nothing but the silence, which does not count."""
    one, other = np.zeros(SAMPLES, np.int16), np.zeros(SAMPLES, np.int16)
    one[4000:12_000], other[20_000:28_000] = noise(1, 8000), noise(2, 8000)
    first, second = sound_print(one, RATE_HZ), sound_print(other, RATE_HZ)
    assert first is not None
    assert second is not None
    assert sound_distance(first, second) > 2 * SAME_SOUND
    assert sound_distance(first, str(sound_print(one // 4, RATE_HZ))) < 0.05


def test_distances_are_shares_of_what_differs() -> None:
    first, second = str(hash_of(pictures(1))), str(hash_of(pictures(2)))
    inverse = bytes(255 - byte for byte in bytes.fromhex(first)).hex()
    assert picture_distance(first, first) == 0.0
    assert picture_distance(first, inverse) == 1.0
    assert picture_distance(first, second) == picture_distance(second, first)
    heard, unheard = f"{1 << SIGNS:04x}", "0000"
    assert sound_distance(heard * 4, heard * 4) == 0.0
    assert sound_distance(heard * 4, "ffff" * 4) == 1.0
    assert sound_distance(heard * 2 + unheard * 2, heard * 4) == 0.25
    assert sound_distance(heard * 4, heard * 5) == 1.0
    assert sound_distance(unheard * 4, unheard * 4) == 0.0  # never written: such a clip has no print
