"""What a run has come to: the scores of its model in words, and where things lie. Imports no torch."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.report.files import report_path
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import evaluation_digest, kept_scores, wanted_scores
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.proof import proof_of
from uniform_core.corpus.samples import current_model_id
from uniform_core.datasets import ProceduralConfig
from uniform_core.metrics.proof import Proof
from uniform_core.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """`scores` are the rows of the run's own evaluation, the model's first; `headlines` say the main ones in words.

    `proof` is what the gate says of them.

    `mlflow_runs` are the ids of the runs that MLflow has: `evaluation` with these scores, `model` with the training.
    """

    scores: list[dict[str, Any]]
    headlines: list[str]
    proof: Proof
    paths: dict[str, str]
    mlflow_runs: dict[str, str]


def outcome_of(settings: Settings, config: RunConfig, *, ask_mlflow: bool) -> Outcome:
    """What the catalog has of this config now; with `ask_mlflow`, which costs seconds, also which runs MLflow has.

    Raises ServiceError where MLflow is asked and does not answer.
    """
    catalog = Catalog.open(settings)
    clips = current_clips(catalog, config)
    model_id = current_model_id(catalog, config, clips=clips)
    stands_on = evaluation_digest(catalog, config, model_id=model_id, clips=clips)
    kept = kept_scores(catalog, wanted_scores(catalog, config, model_id=model_id, clips=clips))
    rows = sorted(kept.values(), key=lambda s: (s["name"], s["system"] != "uniform", s["system"], s["task"]))
    candidates = {
        "report": report_path(settings, config, model_id=model_id, stands_on=stands_on),
        "model": settings.checkpoints_dir / model_id / "model",
        "samples": settings.media_dir / "generated" / model_id[:12] / "uniform",
        "catalog": settings.catalog_dir,
    }
    paths = {name: str(path) for name, path in candidates.items() if path.exists()}
    paths["mlflow"] = _mlflow_address(settings.tracking_uri)
    proof = proof_of(config, rows)
    runs = _mlflow_runs(settings, config, model_id, rows) if ask_mlflow else {}
    return Outcome(rows, headlines(rows), proof, paths, runs)


def nets_remark(config: RunConfig) -> str | None:
    """What is to be known of numbers whose nets have seen no film of the kind that is scored; None where they have."""
    data, taught = config.data, config.instrument
    if data == taught or (isinstance(data, ProceduralConfig) and isinstance(taught, ProceduralConfig)):
        return None
    films = f"{len(taught.labels)} rendered classes" if isinstance(taught, ProceduralConfig) else taught.name
    return (
        f"The feature nets were taught by clips of {films}, by none of {data.name}. What they score (fvd, fad, kvd, "
        "kad, kl, is, class, synchrony, diversity, coverage) is what such nets make of other films: they may overlook "
        "what people see and hear, and no number compares with one of other data."
    )


def _mlflow_address(uri: str) -> str:
    """Where MLflow is looked at: the server's own address, or the command that shows a store without one."""
    if uri.startswith(("http://", "https://")):
        return uri
    return shlex.join([str(Path(sys.executable).with_name("mlflow")), "ui", "--backend-store-uri", uri])


def _mlflow_runs(
    settings: Settings, config: RunConfig, model_id: str, rows: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    from tasks.results import mlflow_runs  # here: it imports what quick commands do without

    return mlflow_runs(settings, config, model_id, rows) if rows else {}


def column_of(score: Mapping[str, Any]) -> str:
    """The column of a score in a table: the task of the model, the baseline, or both."""
    if score["system"] == "uniform":
        return str(score["task"])
    return str(score["system"]) if score["task"] == "all" else f"{score['system']} {score['task']}"


def against(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """How many clips two numbers stand on, where that differs: distances of fewer clips are a little larger."""
    own, others = mine["n_generated"], other["n_generated"]
    return "" if own == others else f" (n {own} against {others})"


def headlines(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """The main numbers in words: Fréchet against the untrained model and the codec, synchrony against chance."""
    found = {(s["name"], s["system"], s["task"]): s for s in scores}
    lines = []
    for name in sorted({s["name"] for s in scores if s["name"].startswith(("fvd.", "fad."))}):
        ceiling = found.get((name, "codec_round_trip", "all"))
        for task in ("t2av", "a2v", "v2a"):
            mine, untrained = found.get((name, "uniform", task)), found.get((name, "untrained", task))
            if mine is None or mine["value"] is None:
                continue
            parts = [f"{task} {name} {mine['value']:.4g}"]
            if untrained is not None and untrained["value"] is not None and mine["value"] > 0:
                ratio = untrained["value"] / mine["value"]
                parts.append(f"{ratio:.1f} times below the untrained model's{against(mine, untrained)}")
            if ceiling is not None and ceiling["value"] is not None:
                parts.append(f"codec round trip {ceiling['value']:.4g}")
            lines.append("; ".join(parts))
    for (name, system, task), score in sorted(found.items()):
        if system == "uniform" and name.startswith("synchrony.") and score["value"] is not None:
            lines.append(
                f"{task} {name} {score['value']:.3f}, 95 % interval {score['low']:.3f} to {score['high']:.3f} "
                f"(chance 0.500, n {score['n_generated']})"
            )
    return lines
