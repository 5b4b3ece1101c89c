"""Clips written for people, and canonical clips read back."""

from __future__ import annotations

from pathlib import Path

import av
import media_files
import numpy as np
import pytest

from uniform_core.errors import IntegrityError, StorageError
from uniform_core.media import CanonicalForm, CanonicalReader, CutRule, Sandbox, write_mp4


def moving(count: int, height: int, width: int) -> np.ndarray:
    frames = np.full((count, height, width, 3), 40, np.uint8)
    for index in range(count):
        frames[index, :, index % width] = (220, 60, 60)
    return frames


@pytest.mark.parametrize(("size", "scale", "stored"), [((32, 32), 4, (128, 128)), ((31, 45), 1, (32, 46))])
def test_a_clip_for_people_plays_in_a_browser(
    size: tuple[int, int], scale: int, stored: tuple[int, int], tmp_path: Path
) -> None:
    wave = 0.3 * np.sin(np.arange(32_000) * 0.2)
    path = tmp_path / "out" / "-odd name.mp4"
    assert write_mp4(path, moving(32, *size), wave, video_rate_hz=16, audio_rate_hz=16_000, scale=scale) == path
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(f"file:{path}") as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.height, video.width) == stored
        assert (audio.codec_context.name, audio.rate) == ("aac", 16_000)
        assert len(list(container.decode(video))) == 32
    write_mp4(path, moving(32, *size), wave, video_rate_hz=16, audio_rate_hz=16_000, scale=scale)
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


def test_a_clip_without_sound(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", moving(8, 32, 32), None, video_rate_hz=7.5, audio_rate_hz=16_000)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not container.streams.audio
        assert float(container.streams.video[0].average_rate) == 7.5


def test_what_is_written_for_people_comes_back_in_time(tmp_path: Path) -> None:
    recipe = media_files.Recipe(fps=media_files.Fraction(16), size=(96, 64))
    frames = np.stack([media_files.picture(i, i / 16, recipe) for i in range(48)])
    path = write_mp4(tmp_path / "a.mp4", frames, media_files.sound(recipe)[::3], video_rate_hz=16, audio_rate_hz=16_000)
    form = CanonicalForm(2.0, 16, 64)
    with Sandbox() as sandbox:
        [clip] = sandbox.canonicalise(
            path, None, cut=CutRule(2.0, 2.0), form=form, out_dir=tmp_path, names=lambda _: "c.mp4"
        )
    reader = CanonicalReader()
    assert [media_files.read_number(frame) for frame in reader.frames(clip.path, None)] == list(range(32))  # type: ignore[union-attr]
    assert media_files.bursts_s(reader.sound(clip.path), 16_000) == pytest.approx([0, 1], abs=0.001)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("frames", "wave"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), np.zeros(8)),
        (np.zeros((2, 8, 8, 3), np.float32), np.zeros(8)),
        (np.zeros((2, 8, 8), np.uint8), np.zeros(8)),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 8))),
        (np.zeros((2, 8, 8, 3), np.uint8), np.full(8, np.nan)),
    ],
)
def test_arrays_of_another_kind_are_not_written(frames: np.ndarray, wave: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_mp4(tmp_path / "a.mp4", frames, wave, video_rate_hz=8, audio_rate_hz=16_000)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="file"):
        write_mp4(tmp_path / "file" / "a.mp4", moving(4, 8, 8), None, video_rate_hz=8, audio_rate_hz=16_000)


@pytest.mark.parametrize("resize", ["crop", "squash", "letterbox"])
def test_reading_at_a_size(resize: str, tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "a.mp4", moving(16, 64, 96), np.zeros(16_000), video_rate_hz=16, audio_rate_hz=16_000)
    frames, waveform = CanonicalReader().read(path, size_px=(32, 32), resize=resize)  # type: ignore[arg-type]
    assert frames.shape == (16, 32, 32, 3)
    assert frames.dtype == np.uint8
    assert waveform.dtype == np.float32
    black_rows = (frames.max(axis=(0, 2, 3)) == 0).sum()
    assert black_rows == (11 if resize == "letterbox" else 0)


def test_a_damaged_clip_is_an_integrity_error(tmp_path: Path) -> None:
    reader = CanonicalReader()
    with pytest.raises(IntegrityError, match="no file"):
        reader.frames(tmp_path / "none.mp4", None)
    (tmp_path / "a.mp4").write_bytes(b"not a clip")
    with pytest.raises(IntegrityError):
        reader.read(tmp_path / "a.mp4", size_px=(8, 8), resize="crop")
    good = write_mp4(tmp_path / "b.mp4", moving(4, 32, 32), None, video_rate_hz=8, audio_rate_hz=16_000)
    with pytest.raises(IntegrityError):
        reader.frames(good, [0, 99])
    with pytest.raises(IntegrityError):
        reader.sound(good)
