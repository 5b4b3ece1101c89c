"""Clips in the folder forms that other suites read, so that they can score the same files."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uniform_core.corpus.anybody.found import MediaFiles
from uniform_core.corpus.anybody.matching import Files, Sides
from uniform_core.errors import ConfigError, Rejection
from uniform_core.files import whole_file, write_text
from uniform_core.media import Sandbox, SourceFacts
from uniform_core.media.forms import StreamRule
from uniform_core.media.wave_file import write_wav

PREDICTED, TRUE, VIDEOS = "pred_audio", "gt_audio", "videos"  # the folders of av-benchmark's words
PLAIN_SOUNDS: Final = (".wav", ".flac")
META: Final = (
    *("path", "id", "relpath", "num_frames", "height", "width", "aspect_ratio", "fps", "resolution"),
    *("audio_path", "audio_fps", "text", "audio_text"),
)


@dataclass(frozen=True)
class Exported:
    """A folder that was written: how many clips, and why others are not in it, by their keys."""

    folder: Path
    clips: int
    left_out: Mapping[str, str]


def export_av_benchmark(sides: Sides, folder: Path) -> Exported:
    """`pred_audio/ID.wav`, `gt_audio/ID.wav` and `videos/ID.mp4`, for `evaluate.py` and `extract_video.py`.

    A pair has one id, its key. Sounds are taken as they are, WAV or FLAC, or decoded into WAV of 32-bit floats.

    Raises ConfigError for a folder that has something in it already. Source: hkchengrex/av-benchmark 050a5cd, README.
    """
    require_empty(folder)
    names = _flat(dict.fromkeys((*sides.generated, *sides.reference)))
    left_out: dict[str, str] = {}
    with Sandbox() as sandbox:
        for part, files in ((PREDICTED, sides.generated), (TRUE, sides.reference)):
            for key, one in files.items():
                _note(left_out, f"{part} {key}", _export_sound(one, folder / part / names[key], sandbox))
    for key, one in sides.generated.items():
        film = one.film or sides.reference.get(key, one).film
        _note(left_out, f"{VIDEOS} {key}", _export_film(film, folder / VIDEOS / names[key]))
    return Exported(folder, len(sides.generated), left_out)


def export_javisbench(generated: Files, folder: Path) -> Exported:
    """`sample_0000.mp4` with `sample_0000.wav` beside it, numbered in the order of the keys, and `meta.csv`.

    The table has a row for each number, with the columns of JavisDiT's tables; texts are empty, since files have none.

    Raises ConfigError for a folder that has something in it already. Source: JavisVerse/JavisDiT b505b37, the README of
    eval/javisbench, and the data preparation of its own.
    """
    require_empty(folder)
    left_out: dict[str, str] = {}
    rows: list[dict[str, object]] = []
    with Sandbox() as sandbox:
        for number, (key, one) in enumerate(generated.items()):
            place = folder / f"sample_{number:04d}"
            problem = _export_film(one.film, place) or _export_sound(one, place, sandbox)
            _note(left_out, key, problem)
            facts = sandbox.probe(one.film) if one.film is not None else None
            rows.append(_meta(key, place, facts if isinstance(facts, SourceFacts) else None))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, META, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "meta.csv", text.getvalue())
    return Exported(folder, len(generated), left_out)


def _meta(key: str, place: Path, facts: SourceFacts | None) -> dict[str, object]:
    """A row; what the file does not say is empty."""
    row: dict[str, object] = dict.fromkeys(META, "")
    row |= {"path": place.with_suffix(".mp4").name, "relpath": place.with_suffix(".mp4").name, "id": key}
    row["audio_path"] = place.with_suffix(".wav").name
    if facts is None or facts.width_px is None or facts.height_px is None:
        return row
    row |= {"height": facts.height_px, "width": facts.width_px, "resolution": facts.height_px * facts.width_px}
    row |= {"aspect_ratio": facts.height_px / facts.width_px, "audio_fps": facts.audio_rate_hz or ""}
    if facts.video_rate_hz and facts.duration_s:
        row |= {"fps": facts.video_rate_hz, "num_frames": round(facts.video_rate_hz * facts.duration_s)}
    return row


def _export_sound(files: MediaFiles, place: Path, sandbox: Sandbox) -> str | None:
    """Write `place.wav` (or `.flac`); why there is none."""
    sound = files.sound or files.film
    assert sound is not None, "a clip has a file"
    suffix = sound.suffix.lower()
    # JavisBench asks for .wav beside each film: its numbered places take no other form.
    if suffix in PLAIN_SOUNDS and not (suffix == ".flac" and place.name.startswith("sample_")):
        _copy(sound, place.parent / f"{place.name}{suffix}")
        return None
    media = sandbox.stream(sound, StreamRule("audio"), lambda _: False)
    if isinstance(media, Rejection):
        return media.message
    if media.sound_NC is None or media.audio_rate_hz is None:
        return media.lacks["audio"].message if "audio" in media.lacks else "sound expected, none found"
    write_wav(place.parent / f"{place.name}.wav", media.sound_NC, rate_hz=media.audio_rate_hz)
    return None


def _export_film(film: Path | None, place: Path) -> str | None:
    """Copy the film to `place.mp4`; why there is none."""
    if film is None:
        return "a film expected, none found"
    if film.suffix.lower() != ".mp4":
        return f"an mp4 expected, found {film.suffix}"
    _copy(film, place.parent / f"{place.name}.mp4")
    return None


def _copy(source: Path, target: Path) -> None:
    with whole_file(target) as temp:
        shutil.copyfile(source, temp)


def _note(left_out: dict[str, str], key: str, problem: str | None) -> None:
    if problem is not None:
        left_out[key] = problem


def _flat(keys: Mapping[str, object]) -> dict[str, str]:
    """A name without folders for each key. Raises ConfigError where two keys would have one."""
    names = {key: key.replace("/", "__") for key in keys}
    taken: dict[str, str] = {}
    for key, name in names.items():
        if name in taken:
            found = f"{taken[name]} and {key}, both {name}"
            raise ConfigError(
                "--export-av-benchmark", expected="names without folders that differ", found=found, fix="Rename one."
            )
        taken[name] = key
    return names


def require_empty(folder: Path) -> None:
    """Raises ConfigError where a folder to export to has something in it already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"export to {folder}",
            expected="a folder that is new or empty",
            found="something there",
            fix="Name another.",
        )


Export = Callable[[Sides, Path], Exported]


def exports_of(av_benchmark: Path | None, javisbench: Path | None) -> Iterator[tuple[Path, Export]]:
    """The exports that are asked for."""
    if av_benchmark is not None:
        yield av_benchmark, export_av_benchmark
    if javisbench is not None:
        yield javisbench, lambda sides, folder: export_javisbench(sides.generated, folder)
