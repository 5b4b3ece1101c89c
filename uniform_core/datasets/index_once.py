"""Each clip of a list once, in one split: what is scored is not trained on, whichever of its lines comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from uniform_core.datasets.index_lines import BadLine, ListedClip
from uniform_core.errors import ConfigError
from uniform_core.fetching.indexes import BY_HAND

Lines = Callable[[], Iterator[ListedClip | BadLine]]


def each_once(lines: Lines, *, splits: Sequence[str], only: str | None, most: int) -> Iterator[ListedClip | BadLine]:
    """The lines of one split, or of all of them, where one that names a clip again is a bad one.

    So is that of a clip with two splits: the later one in `splits` has it. `lines` reads the list anew. Raises
    ConfigError for more than `most` clips.
    """
    rank = {split: number for number, split in enumerate(splits)}
    later = {} if only is not None else _not_of_the_first_split(lines, rank, most=most)
    places: dict[str, str] = {}
    for line in lines():
        if isinstance(line, BadLine):
            yield line
            continue
        if only not in (None, line.split):
            continue
        other = later.get(line.source_id, line)
        if rank[other.split] > rank[line.split]:
            found = f"{line.source_id} found, in {other.split} by {other.place}"
            yield BadLine(line.file, line.number, f"a clip of {line.split} alone expected, {found}")
        elif line.source_id in places:
            found = f"{line.source_id} of {places[line.source_id]} found"
            yield BadLine(line.file, line.number, f"a clip that was not listed before expected, {found}")
        elif len(places) == most:
            raise too_many(line.file, most, "clips")
        else:
            places[line.source_id] = line.place
            yield line


def _not_of_the_first_split(lines: Lines, rank: Mapping[str, int], *, most: int) -> dict[str, ListedClip]:
    """Of each clip with a line of another split than the first, a line of its last one."""
    later: dict[str, ListedClip] = {}
    for line in lines():
        if isinstance(line, BadLine) or not rank[line.split]:
            continue
        known = later.setdefault(line.source_id, line)
        if rank[known.split] < rank[line.split]:
            later[line.source_id] = line
        if len(later) > most:
            raise too_many(line.file, most, "clips")
    return later


def too_many(file: str, most: int, what: str) -> ConfigError:
    """What is said of a file with more than any such list has."""
    return ConfigError(file, expected=f"at most {most:,} {what}", found="more", fix=BY_HAND)
