"""Figures of generated clips beside the real ones that gave their conditions, and one page that shows them.

<folder>/index.html   every figure with what it is of
        /<n>-<class>/truth.png, <task>.png   the real clip; above it again, and what the model made below
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
from jinja2 import Environment, StrictUndefined

from flows.report.samples import choose, given_words, made_by_clip
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.pictures import figure_of, png_of, still_of
from uniform_core.corpus.watching import Row, Watched, Watcher
from uniform_core.errors import WorkFailedError
from uniform_core.files import write_bytes, write_text
from uniform_core.spec import AVSpec
from uniform_core.types import Task


@dataclass(frozen=True)
class Figure:
    """One picture of the gallery: where it lies from the page, and what it shows."""

    path: str
    words: str


@dataclass(frozen=True)
class Exhibit:
    """A real clip with its figures, and what could not be read of it, each with the reason."""

    label: str
    source: str
    caption: str
    figures: tuple[Figure, ...]
    lost: tuple[str, ...]


def write_gallery(
    catalog: Catalog, config: RunConfig, clips: pa.Table, *, model_id: str, folder: Path, count: int
) -> tuple[Path, list[Path]]:
    """The page of the gallery, and its figures: at most `count` held-out clips, the classes taking turns, at each task.

    Raises WorkFailedError where the model made none of them, StorageError where the folder cannot be written.
    """
    made = made_by_clip(catalog, config, clips, model_id)
    chosen = choose([clip for clip in clips.to_pylist() if clip["clip_id"] in made], made, count=count)
    if not chosen:
        raise WorkFailedError(
            "uniform gallery",
            expected=f"clips that model {model_id[:12]} made of split {config.evaluate.split!r}",
            found="none",
            fix="Run `uniform sample` with the same preset, data and settings first.",
        )
    captions = active_captions(catalog, config, clips)
    texts = dict(zip(captions["clip_id"].to_pylist(), captions["text"].to_pylist(), strict=True))
    with Watcher(config, catalog.media_dir) as watcher:
        exhibits = [
            _exhibit(config.spec, clip, made[clip["clip_id"]], texts.get(clip["clip_id"]), watcher, folder, number)
            for number, clip in enumerate(chosen, start=1)
        ]
    page = folder / "index.html"
    write_text(page, _rendered(exhibits, title=f"{config.preset}, {config.data.name}, model {model_id[:12]}"))
    return page, [folder / figure.path for exhibit in exhibits for figure in exhibit.figures]


def _exhibit(
    spec: AVSpec,
    clip: Row,
    made: Mapping[str, Row],
    caption: str | None,
    watcher: Watcher,
    folder: Path,
    number: int,
) -> Exhibit:
    place = f"{number:02d}-{re.sub('[^a-z0-9]+', '-', (clip['label'] or 'clip').lower()).strip('-')[:40]}"
    truth = watcher.truth(clip)
    shown = {"truth": [truth]} | {task.value: [truth, watcher.made(made[task])] for task in Task if task in made}
    words = {"truth": "the real clip"} | {
        task.value: f"{task.value}: the real clip, and below it what was made {given_words(task, made[task])}"
        for task in Task
        if task in made
    }
    figures, lost = [], []
    for name, parts in shown.items():
        if reasons := [part for part in parts if isinstance(part, str)]:
            lost.append(f"{name}: {reasons[0]}")
            continue
        figures.append(Figure(f"{place}/{name}.png", words[name]))
        _write_figure(folder / place / f"{name}.png", [part for part in parts if not isinstance(part, str)], spec)
    return Exhibit(
        (clip["label"] or "").replace("_", " "),
        f"{clip['dataset']}/{clip['source_id']}",
        caption or "",
        tuple(figures),
        tuple(lost),
    )


def _write_figure(path: Path, watched: list[Watched], spec: AVSpec) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, png_of(figure_of([still_of(frames, sound, spec) for frames, sound in watched])))


def _rendered(exhibits: list[Exhibit], *, title: str) -> str:
    text = (files("flows.report") / "gallery.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text).render(exhibits=exhibits, title=title)
