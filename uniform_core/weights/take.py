"""Weights that a person already has: linked or copied into their place, held against the manifest, pinned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from uniform_core.download import drop, require_room
from uniform_core.errors import ConfigError
from uniform_core.files import storage_error
from uniform_core.progress import Listener
from uniform_core.weights.record import Weights, WeightsFile
from uniform_core.weights.settle import ROOM, Pulled, event, part_of, require_right, settle

GIVEN: Final = ".given"


def take(
    weights: Weights, root: Path, missing: list[WeightsFile], given: Path, *, on_progress: Listener
) -> list[Pulled]:
    """Files that a person has, linked or copied into their place. Raises ConfigError for those that are not there."""
    given = given.expanduser()
    found = {file.path: _given_file(weights, file, given) for file in missing}
    taken: list[Pulled] = []
    for file in missing:
        source = found[file.path]
        if source is None:
            continue
        on_progress(event(weights, sum(one.size_bytes for one in taken), file.path))
        linked = linked_of(root, file)
        _link_or_copy(source, linked)
        try:
            require_right(weights, file, linked)
            taken.append(settle(weights, root, file, linked, state="taken"))
            drop(part_of(root, file))  # of a download that was begun
        finally:
            linked.unlink(missing_ok=True)
    absent = [file.path for file in missing if found[file.path] is None]
    if absent:
        raise ConfigError(
            f"weights {weights.name}",
            expected=f"{', '.join(absent)} at {given}",
            found="no such file" if len(absent) == 1 else "none of them",
            fix="Give the folder that has them, or pull without --from.",
        )
    return taken


def linked_of(root: Path, file: WeightsFile) -> Path:
    """Where a person's file waits for its name: never where a download would go on, and write into it."""
    part = part_of(root, file)
    return part.with_name(part.name + GIVEN)


def _given_file(weights: Weights, file: WeightsFile, given: Path) -> Path | None:
    """Where a person has a file: under its path; where no other file is called so, under its name or as `given`."""
    name = Path(file.path).name
    places = [given / file.path]
    if sum(Path(other.path).name == name for other in weights.files) == 1:
        places += [given / name, *([given] if given.name == name else [])]
    return next((path.resolve() for path in places if path.is_file()), None)


def _link_or_copy(source: Path, linked: Path) -> None:
    try:
        linked.parent.mkdir(parents=True, exist_ok=True)
        linked.unlink(missing_ok=True)
        try:
            linked.hardlink_to(source)
        except OSError:  # another disk, or one without links
            require_room(linked.parent, source.stat().st_size, item=str(source), fix=ROOM)
            shutil.copyfile(source, linked)
    except OSError as error:
        raise storage_error(str(linked), error) from error
