"""What MLflow is told of anybody's clips: one run for each system, task and set of scores, found again by its tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.anybody import Scored
from tasks.context import Session
from tasks.results import EVALUATION_TAG, KIND_TAG, MODEL_TAG, SCORES_TAG, score_metrics
from tasks.tracking import DataVersion, Tracker
from uniform_core.corpus.anybody.call import Call
from uniform_core.files import lock
from uniform_core.fingerprint import set_digest

LOCK = ".anybody.lock"


def log_scored(session: Session, call: Call, scored: Scored, *, words: Mapping[str, Any]) -> str:
    """The id of the MLflow run that has these scores: a new one, or that which has them already.

    Metrics are named as those of our own evaluations, with the system before them; `words` are what the call said, and
    become parameters: `generated`, `reference` and the like. Raises ServiceError.
    """
    tracker, own = Tracker.open(session.settings), _tags(call, scored)
    with lock(session.settings.home / LOCK, shared=False):  # two drivers would make two runs
        found = tracker.find(own, status="FINISHED")
        if found is not None:
            return found
        hashes = {row["name"]: row["protocol_hash"] for row in scored.rows}
        further = {"uniform.dataset": str(words.get("reference")), "uniform.run_id": session.run_id}
        with tracker.run(
            f"{call.system}-{call.task}-{own[EVALUATION_TAG][:8]}",
            params={**words, "protocols": [p.name for p in call.protocols], "protocol_hashes": hashes},
            tags={**own, **further},
            data=_data(scored),
            run_id=tracker.find(own),
        ) as run:
            run.log_metrics({name: value for row in scored.rows for name, value in score_metrics(row)})
            run.log_json(
                [
                    {**row, "created_at": str(row["created_at"]), "warnings": list(scored.warnings[row["work_key"]])}
                    for row in scored.rows
                ],
                "scores.json",
            )
            run.log_json([{"what": gap.what, "reason": gap.reason} for gap in scored.not_made], "not_made.json")
            return run.run_id


def _tags(call: Call, scored: Scored) -> dict[str, str]:
    """What such a run is found by, here and by a person."""
    return {
        KIND_TAG: "anybody",
        "uniform.system": call.system,
        "uniform.task": str(call.task),
        "uniform.protocol": ", ".join(protocol.name for protocol in call.protocols),
        EVALUATION_TAG: scored.rows[0]["stage_fp"],
        SCORES_TAG: set_digest(row["work_key"] for row in scored.rows),
        **({} if call.model_id is None else {MODEL_TAG: call.model_id}),
    }


def _data(scored: Scored) -> list[DataVersion]:
    """The clips of each system by the digest of their contents: no table has them."""
    by_system = {row["system"]: row["stage_fp"] for row in scored.rows}
    return [DataVersion(f"clips of {system}", digest, {}, "evaluation") for system, digest in by_system.items()]
