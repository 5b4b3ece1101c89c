"""Numbers of single clips: the rows of `clip_scores`, and which scores of an older program lack theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.controls import Clips
from uniform_core.corpus.evaluation import WantedScore, kept_scores, wanted_scores
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import ClipValues, Score

NO_FILE: Final = "0" * 64  # in the place of a content, where no file has the stream
OF_SCORE: Final = ("task", "system", "model_id", "protocol_hash", "stage_fp", "run_id", "created_at")


@dataclass(frozen=True)
class ClipName:
    """Which clip a row is of; `name` is that of its file where the id does not lead to it."""

    clip_id: str
    name: str | None = None


@dataclass(frozen=True)
class Scored:
    """A score as it was measured: the clips of its system by their conditions, and the values of single ones."""

    wanted: WantedScore
    score: Score
    clips: Clips
    values: tuple[ClipValues, ...]


def clip_rows(
    values: Sequence[ClipValues], clips: Clips, *, score: Mapping[str, Any], named: Callable[[str], ClipName] = ClipName
) -> Iterator[dict[str, Any]]:
    """The rows of `clip_scores` of one score: its columns `work_key` and `OF_SCORE` are in `score`.

    `clips` are those of its system by their keys; `named` says which clip a key means, else the key is the clip's id.
    """
    for measured in values:
        for key, value in sorted(measured.values.items()):
            clip, name = clips[key], named(key)
            yield {
                **{column: score[column] for column in OF_SCORE},
                "work_key": digest(["clip score", score["work_key"], measured.name, name.clip_id]),
                "score_key": score["work_key"],
                "name": measured.name,
                "clip_id": name.clip_id,
                "clip_name": name.name,
                "value": value,
                "video_sha256": clip.video or NO_FILE,
                "audio_sha256": clip.audio or NO_FILE,
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
