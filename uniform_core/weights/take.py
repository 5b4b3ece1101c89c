"""Weights that a person already has: linked or copied into their place, held against the manifest, pinned."""

from __future__ import annotations

import shutil
from pathlib import Path

from uniform_core.errors import ConfigError
from uniform_core.files import storage_error
from uniform_core.progress import Listener
from uniform_core.weights.record import Weights, WeightsFile
from uniform_core.weights.room import require_room
from uniform_core.weights.settle import Pulled, event, part_of, require_right, settle


def take(
    weights: Weights, root: Path, missing: list[WeightsFile], given: Path, *, on_progress: Listener
) -> list[Pulled]:
    """Files that a person has, linked or copied into their place. Raises ConfigError for those that are not there."""
    given = given.expanduser()
    found = {file.path: _given_file(file, given) for file in missing}
    taken: list[Pulled] = []
    for file in missing:
        source = found[file.path]
        if source is None:
            continue
        on_progress(event(weights, sum(one.size_bytes for one in taken), file.path))
        part = part_of(root, file)
        _link_or_copy(source, part)
        try:
            require_right(weights, file, part)
            taken.append(settle(weights, root, file, part, state="taken"))
        finally:
            part.unlink(missing_ok=True)
    absent = [file.path for file in missing if found[file.path] is None]
    if absent:
        raise ConfigError(
            f"weights {weights.name}",
            expected=f"{', '.join(absent)} at {given}",
            found="no such file" if len(absent) == 1 else "none of them",
            fix="Give the folder that has them, or pull without --from.",
        )
    return taken


def _given_file(file: WeightsFile, given: Path) -> Path | None:
    """Where a person has a file: under its path, under its name alone, or it is what was given."""
    names = (given / file.path, given / Path(file.path).name, *([given] if given.name == Path(file.path).name else []))
    return next((path.resolve() for path in names if path.is_file()), None)


def _link_or_copy(source: Path, part: Path) -> None:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            part.hardlink_to(source)
        except OSError:  # another disk, or one without links
            require_room(part.parent, source.stat().st_size, item=str(source))
            shutil.copyfile(source, part)
    except OSError as error:
        raise storage_error(str(part), error) from error
