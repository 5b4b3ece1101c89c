"""A few clips of each task for people who look at a run in MLflow: films, and pictures that preview there."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.context import RunContext
from uniform_core.corpus.evaluation import current_generations, in_turns
from uniform_core.corpus.pictures import gallery_of, png_of, still_of
from uniform_core.corpus.watching import Watched, Watcher
from uniform_core.errors import IntegrityError
from uniform_core.files import write_bytes
from uniform_core.spec import AVSpec

SAMPLES_A_TASK: Final = 6
Row = Mapping[str, Any]


def chosen_samples(context: RunContext, model_id: str) -> list[Row]:
    """The rows of the clips, of different classes, each with its condition (`clip`).

    Raises IntegrityError where one has no file.
    """
    clips = {row["clip_id"]: row for row in context.clips().to_pylist()}
    made = current_generations(context.catalog, context.config, context.clips(), model_id=model_id)
    chosen: list[Row] = [
        {**row, "clip": clips[row["clip_id"]]}
        for system, rows in made.items()
        if system.name == "uniform"
        for row in in_turns(rows, label_of=lambda row: clips[row["clip_id"]]["label"])[:SAMPLES_A_TASK]
    ]
    for row in chosen:
        path = context.settings.media_dir / row["path"]
        if not path.is_file():
            raise IntegrityError(
                f"sample clip {path}",
                expected="the file that the table generations names, for MLflow",
                found="none",
                fix="Run `uniform catalog verify --repair`: the next run makes it again.",
            )
    return chosen


def write_samples(context: RunContext, chosen: Sequence[Row], folder: Path) -> None:
    """The films in a folder for each task; beside each, its frames above its log-mel, and the same of the real clip.

    `gallery-TASK.png` has these pictures of a task together. A clip that cannot be read has no picture: the report says
    why.
    """
    spec, media_dir = context.config.spec, context.settings.media_dir
    galleries: defaultdict[str, list[tuple[np.ndarray | None, np.ndarray | None]]] = defaultdict(list)
    with Watcher(context.config, media_dir) as watcher:
        for row in chosen:
            path = media_dir / row["path"]
            place = folder / row["task"] / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            made, real = (_still(watched, spec) for watched in (watcher.made(row), watcher.truth(row["clip"])))
            for still, name in ((made, f"{place.stem}.png"), (real, f"{place.stem}-real.png")):
                if still is not None:
                    write_bytes(place.with_name(name), png_of(still))
            galleries[row["task"]].append((real, made))
    for task, pairs in galleries.items():
        write_bytes(folder / f"gallery-{task}.png", png_of(gallery_of(pairs)))


def _still(watched: Watched | str, spec: AVSpec) -> np.ndarray | None:
    return None if isinstance(watched, str) else still_of(*watched, spec)
