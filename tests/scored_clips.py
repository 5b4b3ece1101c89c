"""What an evaluation measured, made up: a score, and the values of a few clips where its metric has some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog_rows import clip_row, score_row, sha, stamp

from uniform_core.corpus.clip_scores import Scored
from uniform_core.corpus.controls import Clip
from uniform_core.corpus.evaluation import WantedScore
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import ClipValues, Score

A, B = "a" * 32, "b" * 32  # evaluations
SYNC, KL, FVD = (f"{name}.uniform_tiny" for name in ("synchrony.tinysync", "kl.tinymel", "fvd.tinyvideo"))
CLIPS = {clip_row(n)["clip_id"]: Clip.of_file(sha("made", n)) for n in range(3)}


def scored(wanted: WantedScore, score: Score) -> Scored:
    """The score with values of three clips."""
    has_clips = wanted.metric.by_clip and score.value is not None
    values = (ClipValues(wanted.metric.name, dict.fromkeys(CLIPS, 1.5)),) if has_clips else ()
    return Scored(wanted, score, CLIPS, values)


def evaluation_rows(
    evaluation: str,
    *,
    name: str,
    values: Sequence[float] | Mapping[int, float],
    half: float = 0.0,
    task: str = "v2a",
    system: str = "uniform",
    **columns: Any,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A row of `scores`, and its rows of `clip_scores` of numbered clips; its interval is `half` on either side."""
    by_clip = dict(values) if isinstance(values, Mapping) else dict(enumerate(values))
    model_id = columns.pop("model_id", digest(["model", evaluation]))
    protocol_hash = columns.pop("protocol_hash", digest(["protocol", name]))
    when = {key: columns[key] for key in ("created_at", "run_id") if key in columns}
    key, mean = digest(["score", evaluation, name, task, system]), sum(by_clip.values()) / len(by_clip)
    score = score_row(
        0,
        **{
            "work_key": key,
            "name": name,
            "task": task,
            "system": system,
            "model_id": model_id,
            "value": mean,
            "low": mean - half,
            "high": mean + half,
            "n_generated": len(by_clip),
            "protocol_hash": protocol_hash,
            "extractors": "{}",
            "clips_digest": sha("real clips"),
            "stage_fp": evaluation,
            **columns,
        },
    )
    clips = [
        stamp(
            **{
                "work_key": digest(["clip score", key, n]),
                "score_key": key,
                "name": name,
                "task": task,
                "system": system,
                "model_id": model_id,
                "clip_id": clip_row(n)["clip_id"],
                "value": value,
                "video_sha256": sha("made", evaluation, n),
                "audio_sha256": sha("made", evaluation, n),
                "protocol_hash": protocol_hash,
                "stage_fp": evaluation,
                **when,
            }
        )
        for n, value in by_clip.items()
    ]
    return score, clips
