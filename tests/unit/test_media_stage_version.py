"""The canonical clip of a fixed file: if this fails, bump CANONICAL_VERSION and write the new numbers here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import media_files
import numpy as np
import pytest

from uniform_core.media import CanonicalClip, CanonicalForm, CanonicalReader, CutRule, Sandbox
from uniform_core.media.forms import CANONICAL_VERSION
from uniform_core.media.prints import picture_distance, sound_distance, sound_print

GOLDEN = {
    5: {  # the same clips as 4, with prints
        "size": (96, 64),
        "frame_numbers": [0, 2, 4, 6, 9, 11, 13, 16],
        "luma_rows": [160.75, 162.99, 82.49, 84.73, 84.77, 87.0],
        "loud_samples": [1, 2, 4, 6, 7, 9],
        "audio_rms_db": -24.437,
        "motion": 14.488,
        "picture_hash": (
            "e510b4894a452551e1b2399474c281a5c1a2310468848145c3a27914e48291adc362730cd98994cfad56a2ad5949aecb"
            "c3e2730ce98d924da97623ac49dd8e4f"
        ),
        "sweep_print": "f9cafee5eef49f7aa72abbbdcbd5d49495de955ee6de",
    }
}


def test_the_canonical_clip_of_a_fixed_file(tmp_path: Path) -> None:
    """Tolerances: another build of FFmpeg may round differently, by a grey level or a tenth of a decibel."""
    source = media_files.write(
        tmp_path / "a.mkv", container="matroska", audio_codec="flac", fps=Fraction(30), rotation=None, layout="stereo"
    )
    form = CanonicalForm(duration_s=2.0, video_rate_hz=13, short_side_px=64)
    with Sandbox() as sandbox:
        [clip] = sandbox.canonicalise(
            source, None, cut=CutRule(2.0, 2.0), form=form, out_dir=tmp_path, names=lambda _: "clip.mp4"
        )
    assert isinstance(clip, CanonicalClip)
    reader = CanonicalReader()
    frames, waveform = reader.frames(clip.path, None), reader.sound(clip.path)
    golden = GOLDEN[CANONICAL_VERSION]
    found = {
        "size": (clip.width_px, clip.height_px),
        "frame_numbers": [media_files.read_number(frame) for frame in frames[:8]],
        "luma_rows": frames[:6].mean(axis=(1, 2, 3)).tolist(),
        "loud_samples": np.flatnonzero(np.abs(waveform) > 0.3)[:6].tolist(),
        "audio_rms_db": clip.audio_rms_db,
        "motion": clip.motion,
    }
    assert found["size"] == golden["size"]
    assert found["frame_numbers"] == golden["frame_numbers"]
    assert found["luma_rows"] == pytest.approx(golden["luma_rows"], abs=1.0)
    assert found["loud_samples"] == pytest.approx(golden["loud_samples"], abs=1)
    assert found["audio_rms_db"] == pytest.approx(golden["audio_rms_db"], abs=0.1)
    assert found["motion"] == pytest.approx(golden["motion"], rel=0.05)
    assert clip.picture_hash is not None
    assert picture_distance(clip.picture_hash, golden["picture_hash"]) < 0.05
    assert clip.sound_print is None  # two short bursts: too little to know again


def test_the_print_of_a_fixed_sweep() -> None:
    made = sweep_print()
    assert made is not None
    assert sound_distance(made, GOLDEN[CANONICAL_VERSION]["sweep_print"]) < 0.01


def sweep_print() -> str | None:
    times_s = np.arange(16_000) / 16_000
    sweep_N = np.sin(2 * np.pi * (300 + 900 * times_s) * times_s) * (1 + np.sin(40 * times_s))
    return sound_print((8000 * sweep_N).astype(np.int16), 16_000)
