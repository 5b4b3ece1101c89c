"""Numbers of single clips: the rows of `clip_scores`, and which scores of an older program lack theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.controls import Clips
from uniform_core.corpus.evaluation import WantedScore, kept_scores, wanted_scores
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import ClipValues, Score


@dataclass(frozen=True)
class Scored:
    """A score as it was measured: the clips of its system by their conditions, and the values of single ones."""

    wanted: WantedScore
    score: Score
    clips: Clips
    values: tuple[ClipValues, ...]


def clip_rows(scored: Scored, stamp: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of `clip_scores` of one score; `stamp` are the columns that all rows of an evaluation have."""
    wanted = scored.wanted
    for measured in scored.values:
        for clip_id, value in sorted(measured.values.items()):
            clip = scored.clips[clip_id]
            yield {
                **stamp,
                "work_key": digest(["clip score", wanted.work_key, measured.name, clip_id]),
                "score_key": wanted.work_key,
                "name": measured.name,
                "task": wanted.system.task_name,
                "system": wanted.system.name,
                "clip_id": clip_id,
                "value": value,
                "video_sha256": clip.video,
                "audio_sha256": clip.audio,
                "protocol_hash": scored.score.protocol_hash,
            }


def without_clips(catalog: Catalog, wanted: Sequence[WantedScore], kept: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The keys of kept scores whose single clips are not kept: an older program measured them."""
    asked = [
        score.work_key
        for score in wanted
        if score.metric.by_clip and score.work_key in kept and kept[score.work_key]["value"] is not None
    ]
    if not asked:
        return set()
    keys = pa.table({"score_key": pa.array(asked, pa.string())})
    rows = catalog.query(
        "SELECT a.score_key FROM asked a ANTI JOIN clip_scores USING (score_key)", tables={"asked": keys}
    )
    return set(rows["score_key"].to_pylist())


def scores_done(
    catalog: Catalog, config: RunConfig, *, model_id: str, clips: pa.Table | None = None
) -> tuple[int, int]:
    """How many scores are wanted, and how many of them the catalog has, with their single clips."""
    wanted = wanted_scores(catalog, config, model_id=model_id, clips=clips)
    kept = kept_scores(catalog, wanted)
    return len(wanted), len(kept) - len(without_clips(catalog, wanted, kept))
