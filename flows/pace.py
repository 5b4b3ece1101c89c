"""How fast the stages went on this root: kept by runs that did something, read by `uniform plan`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uniform_core.config import RunConfig
from uniform_core.files import write_text
from uniform_core.settings import Settings

ENOUGH = 0.5  # of the pieces that the kept pace stands on: a run of a few pieces is all start and stop


def record_pace(settings: Settings, config: RunConfig, stage: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what a stage took, where it did enough pieces to say something. `rows` are its summaries.

    Raises StorageError.
    """
    pieces = sum(row["done"] for row in rows if row["stage"] == stage)
    path, kept = _path(settings), _read(_path(settings))
    old = kept.get(config.preset, {}).get(stage, {"pieces": 0})
    if not pieces or pieces < ENOUGH * old["pieces"]:
        return
    took = {
        "pieces": pieces,
        "wall_s": sum(row["wall_s"] for row in rows),
        "parallel": _parallel(settings, config, stage),
    }
    kept[config.preset] = {**kept.get(config.preset, {}), stage: took}
    write_text(path, json.dumps(kept, indent=1))


def rates_of(settings: Settings, config: RunConfig) -> dict[str, float]:
    """Seconds a piece on one core, by stage, of runs of this preset on this root; those that are not known missing."""
    kept = _read(_path(settings)).get(config.preset, {})
    return {stage: took["wall_s"] * took["parallel"] / took["pieces"] for stage, took in kept.items()}


def _parallel(settings: Settings, config: RunConfig, stage: str) -> int:
    return config.train_workers if stage == "train" else settings.worker_cpus


def _path(settings: Settings) -> Path:
    return settings.reports_dir / "pace.json"


def _read(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What is kept; nothing where there is no file, or one that is not ours: a pace is only ever a help."""
    try:
        kept = json.loads(path.read_text())
        return {preset: {stage: _checked(took) for stage, took in stages.items()} for preset, stages in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _checked(took: Mapping[str, Any]) -> dict[str, float]:
    values = {name: float(took[name]) for name in ("pieces", "wall_s", "parallel")}
    if min(values.values()) <= 0:
        raise ValueError(f"a pace is positive; found {values}")
    return values
