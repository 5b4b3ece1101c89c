"""Clips that the catalog has: real ones of a dataset's split, and those that one of our models made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.found import MediaFiles
from uniform_core.errors import ConfigError, WorkFailedError, nearest
from uniform_core.types import Task

WORD: Final = re.compile(r"[^/\\:]+:[^/\\:]+")
_NEWEST: Final = "QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY created_at DESC, work_key) = 1"


@dataclass(frozen=True)
class Catalogued:
    """Clips with files of their own, by key, what is in the files, and of those of the catalog the clips' ids."""

    files: Mapping[str, MediaFiles]
    sha256: Mapping[Path, str] = field(default_factory=dict)
    clip_ids: Mapping[Path, str] = field(default_factory=dict)


def is_split(word: str) -> bool:
    """Whether a word is of the form DATASET:SPLIT."""
    return WORD.fullmatch(word) is not None


def clips_of_split(catalog: Catalog, word: str, *, media_dir: Path) -> Catalogued:
    """The canonical clips of DATASET:SPLIT; the key is the source's id without its suffix.

    Where a source has several clips the key is the clip's id. Raises ConfigError for a dataset or split of which there
    are none.
    """
    dataset, _, split = word.partition(":")
    rows = catalog.rows(
        f"SELECT clip_id, source_id, path, clip_sha256 FROM clips WHERE dataset = ? AND split = ? {_NEWEST}",  # noqa: S608  (ours)
        parameters=[dataset, split],
    )
    if not rows:
        there = catalog.rows("SELECT DISTINCT dataset || ':' || split AS word FROM clips ORDER BY word")
        known = [row["word"] for row in there]
        raise ConfigError(
            f"--reference {word}",
            expected="a folder, or DATASET:SPLIT of the catalog",
            found=f"neither; the catalog has {', '.join(known[:8]) or 'no clips'}",
            fix=nearest(word, known) if known else "Ingest it first, or give a folder.",
        )
    stems = {row["clip_id"]: PurePosixPath(row["source_id"]).with_suffix("").as_posix() for row in rows}
    times = Counter(stems.values())
    return _catalogued(
        [(stems[r["clip_id"]] if times[stems[r["clip_id"]]] == 1 else r["clip_id"], r) for r in rows], media_dir
    )


def clips_of_model(catalog: Catalog, model_id: str, task: Task, *, system: str, media_dir: Path) -> Catalogued:
    """What a model made at a task, by the clip that gave the condition, as it was last asked to make it.

    Raises WorkFailedError where it made nothing.
    """
    # What both baselines of files hold is filed under one task: a round trip belongs to none.
    filed = Task.T2AV if system == "codec_round_trip" else task
    rows = catalog.rows(
        """
        WITH made AS (SELECT * FROM generations WHERE model_id = ? AND task = ? AND system = ?)
        SELECT clip_id, path, file_sha256 AS clip_sha256 FROM made
        WHERE stage_fp = (SELECT stage_fp FROM made ORDER BY created_at DESC, work_key LIMIT 1)
        QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY created_at DESC, work_key) = 1
        """,
        parameters=[model_id, str(filed), system],
    )
    if not rows:
        raise WorkFailedError(
            f"model {model_id[:8]}",
            expected=f"clips that it made at {task}",
            found=f"none of system {system}",
            fix="Make them with `uniform sample` first.",
        )
    return _catalogued([(row["clip_id"], row) for row in rows], media_dir)


def real_of(catalog: Catalog, clip_ids: Sequence[str], *, media_dir: Path) -> Catalogued:
    """The canonical clips of these ids; those that are no longer there are left out."""
    import pyarrow as pa

    wanted = pa.table({"clip_id": pa.array(list(clip_ids), pa.string())})
    rows = catalog.query(
        f"SELECT clip_id, path, clip_sha256 FROM clips SEMI JOIN wanted USING (clip_id) {_NEWEST}",  # noqa: S608  (ours)
        tables={"wanted": wanted},
    ).to_pylist()
    return _catalogued([(row["clip_id"], row) for row in rows], media_dir)


def _catalogued(rows: Sequence[tuple[str, Mapping[str, Any]]], media_dir: Path) -> Catalogued:
    ordered = sorted(rows, key=lambda pair: pair[0])
    return Catalogued(
        {key: MediaFiles(media_dir / row["path"], None) for key, row in ordered},
        {media_dir / row["path"]: row["clip_sha256"] for _, row in ordered},
        {media_dir / row["path"]: row["clip_id"] for _, row in ordered},
    )
