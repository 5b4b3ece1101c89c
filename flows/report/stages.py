"""What the stages did: kept beside the report, since a run that finds everything done has no times to show."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uniform_core.errors import IntegrityError
from uniform_core.files import write_text

Summaries = Sequence[Mapping[str, Any]]


def remembered(path: Path, fresh: Summaries) -> list[dict[str, Any]]:
    """The summaries of each stage from the run that last did something in it, in the order of the stages.

    The file at `path` is brought up to date. Raises IntegrityError where it cannot be read, StorageError.
    """
    old, new = _by_stage(_read(path)), _by_stage(fresh)
    kept = {
        stage: new[stage] if _worked(new.get(stage, [])) or stage not in old else old[stage] for stage in {**old, **new}
    }
    rows = [row for stage in [*new, *(stage for stage in old if stage not in new)] for row in kept[stage]]
    if fresh:
        write_text(path, json.dumps(rows, indent=1))
    return rows


def _worked(rows: Summaries) -> bool:
    return any(row["done"] or row["failed"] for row in rows)


def _by_stage(rows: Summaries) -> dict[str, list[dict[str, Any]]]:
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["stage"]].append(dict(row))
    return dict(groups)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text())
    except ValueError as error:
        raise IntegrityError(
            str(path), expected="the summaries of a run, as JSON", found=str(error), fix="Delete the file."
        ) from error
    return rows
