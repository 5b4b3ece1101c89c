"""Which clip each key of a call means, for the rows of single clips: one of the catalog, or one of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from uniform_core.corpus.anybody.matching import Files
from uniform_core.corpus.clip_scores import ClipName
from uniform_core.corpus.controls import Clips
from uniform_core.fingerprint import digest


def clip_names(*sides: Files, clip_ids: Mapping[Path, str], real: Clips) -> dict[str, ClipName]:
    """The clip of every key of the sides.

    Where a film of one of the sides is a clip of the catalog (`clip_ids`), it is that clip, so that others which were
    made of it are compared with this one. Else, and where several keys are of one clip, its id is the hash of its name
    and of the contents of the real clip by that name: of two systems, clips of one name and one truth have one id.
    """
    films: dict[str, list[Path]] = {}
    for side in sides:
        for key, files in side.items():
            films.setdefault(key, []).extend([] if files.film is None else [files.film])
    known = {key: next((clip_ids[path] for path in paths if path in clip_ids), None) for key, paths in films.items()}
    times = Counter(known.values())
    return {
        key: _named(key, clip_id if times[clip_id] == 1 else None, real=real) for key, clip_id in sorted(known.items())
    }


def _named(key: str, clip_id: str | None, *, real: Clips) -> ClipName:
    if clip_id is None:
        truth = [real[key].video, real[key].audio] if key in real else []
        clip_id = digest(["clip of a folder", key, *truth])
    return ClipName(clip_id, None if clip_id == key else key)
