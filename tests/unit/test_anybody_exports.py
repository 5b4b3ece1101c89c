"""Clips in the folder forms of other suites, and sound that no form changes."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np
import pytest
from anybody_clips import AUDIO_HZ, FRAMES, RATE_HZ, SIDE, sound_of, write_films, write_sounds

from uniform_core.corpus.anybody.exports import export_av_benchmark, export_javisbench
from uniform_core.corpus.anybody.found import found_in
from uniform_core.corpus.anybody.matching import Sides
from uniform_core.errors import ConfigError
from uniform_core.media import Sandbox, StreamedMedia, StreamRule


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    root = tmp_path_factory.mktemp("clips")
    write_sounds(root / "generated", [0, 1])
    write_films(root / "reference", range(3))
    return Sides(found_in(root / "generated", flag="--generated"), found_in(root / "reference", flag="--reference"))


def sound_in(path: Path) -> tuple[np.ndarray, int | None]:
    with Sandbox() as sandbox:
        media = sandbox.stream(path, StreamRule("audio"), lambda _: False)
    assert isinstance(media, StreamedMedia)
    assert media.sound_NC is not None
    return media.sound_NC, media.audio_rate_hz


def test_av_benchmark_has_sounds_of_both_sides_and_films_by_one_name(sides: Sides, tmp_path: Path) -> None:
    exported = export_av_benchmark(sides, tmp_path / "out")
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert names == [
        *(f"gt_audio/clip-000{n}.wav" for n in range(3)),
        *(f"pred_audio/clip-000{n}.wav" for n in range(2)),
        *(f"videos/clip-000{n}.mp4" for n in range(2)),
    ]
    assert (exported.clips, exported.left_out) == (2, {})
    made = sides.generated["clip-0001"].sound
    assert made is not None
    assert (tmp_path / "out/pred_audio/clip-0001.wav").read_bytes() == made.read_bytes()
    film = sides.reference["clip-0001"].film
    assert film is not None
    for path in (film, tmp_path / "out/gt_audio/clip-0001.wav"):
        assert sound_in(path)[1] == AUDIO_HZ
    np.testing.assert_array_equal(sound_in(film)[0], sound_in(tmp_path / "out/gt_audio/clip-0001.wav")[0])


def test_javisbench_has_numbered_films_with_their_sound_and_a_table(sides: Sides, tmp_path: Path) -> None:
    exported = export_javisbench(sides.reference, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "meta.csv",
        *(f"sample_000{n}.{kind}" for n in range(3) for kind in ("mp4", "wav")),
    ]
    assert exported.left_out == {}
    with (tmp_path / "out/meta.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["relpath"], row["audio_path"]) for row in rows] == [
        (f"clip-000{n}", f"sample_000{n}.mp4", f"sample_000{n}.wav") for n in range(3)
    ]
    facts = [float(rows[0][name]) for name in ("num_frames", "height", "width", "fps", "audio_fps")]
    assert facts == [FRAMES, SIDE, SIDE, RATE_HZ, AUDIO_HZ]


def test_what_cannot_be_exported_is_told_and_nothing_is_written_over(sides: Sides, tmp_path: Path) -> None:
    exported = export_javisbench(sides.generated, tmp_path / "out")
    assert exported.left_out == {f"clip-000{n}": "a film expected, none found" for n in range(2)}
    for export in (
        lambda: export_javisbench(sides.generated, tmp_path / "out"),
        lambda: export_av_benchmark(sides, tmp_path / "out"),
    ):
        with pytest.raises(ConfigError, match="new or empty"):
            export()


def test_names_that_become_one_are_refused(sides: Sides, tmp_path: Path) -> None:
    one = sides.reference["clip-0000"]
    both = Sides({"a/b": one, "a__b": one}, {})
    with pytest.raises(ConfigError, match=r"a/b and a__b, both a__b"):
        export_av_benchmark(both, tmp_path / "out")


def test_a_wav_of_floats_keeps_every_sample(tmp_path: Path) -> None:
    path = write_sounds(tmp_path, [3], duration_s=0.5) / "clip-0003.wav"
    heard_NC, rate_hz = sound_in(path)
    np.testing.assert_array_equal(heard_NC[:, 0], sound_of(3, duration_s=0.5))
    assert rate_hz == AUDIO_HZ
    with pytest.raises(wave.Error, match="unknown format: 3"), wave.open(str(path)):
        pass  # floats, not whole numbers
