"""From the catalog and the files of a model to what its report shows."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.cli.show import seconds
from flows.outcome import nets_remark
from flows.report.data import Fact, ReportData
from flows.report.gate import gate_view
from flows.report.glance import headlines
from flows.report.losses import loss_charts, read_history
from flows.report.repeat import command_of
from flows.report.samples import sample_cards
from flows.report.sampling import sampling_facts
from flows.report.scores import score_plots, score_table
from flows.report.stages import remembered
from uniform_core import __version__
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import kept_scores, wanted_scores
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.proof import proof_of
from uniform_core.errors import WorkFailedError
from uniform_core.settings import Settings

HISTORY = "history.jsonl"  # beside the model's folder, written by training


def gather(
    settings: Settings,
    catalog: Catalog,
    config: RunConfig,
    *,
    model_id: str,
    summaries: Sequence[Mapping[str, Any]] | None,
) -> ReportData:
    """Everything that is known of a model. Raises WorkFailedError where there is no such model."""
    model = _model(catalog, model_id)
    history = read_history(settings.checkpoints_dir / model_id / HISTORY)
    clips = current_clips(catalog, config)
    kept = kept_scores(catalog, wanted_scores(catalog, config, model_id=model_id, clips=clips))
    scores = sorted(kept.values(), key=lambda row: (row["created_at"], row["work_key"]))
    proof = proof_of(config, scores)
    columns, table = score_table(scores)
    return ReportData(
        title=f"{config.preset} on {config.data.name}",
        model_id=model_id,
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        facts=tuple(_facts(clips, config, model, history)),
        gate=gate_view(proof, scores),
        remark=nets_remark(config),
        headlines=headlines(proof.checks, scores),
        cards=sample_cards(catalog, config, clips, model_id=model_id),
        charts=loss_charts(history),
        columns=columns,
        scores=table,
        plots=score_plots(scores),
        stages=tuple(remembered(settings.reports_dir / f"stages-{model_id[:12]}.json", summaries or ())),
        tables=tuple(catalog.named_query("status").to_pylist()),
        failures=tuple(catalog.named_query("failures_by_class").to_pylist()),
        provenance=tuple(_provenance(catalog, model, scores)),
        config_json=json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False),
        command=command_of(config),
    )


def _model(catalog: Catalog, model_id: str) -> dict[str, Any]:
    rows = catalog.query(
        "SELECT * FROM models WHERE model_id = ? AND kind IN ('uniform', 'unimodal')", parameters=[model_id]
    )
    if not rows.num_rows:
        raise WorkFailedError(
            f"report of model {model_id[:12]}",
            expected="a model trained with this config on these clips",
            found="none in the catalog",
            fix="Run `uniform run` with the same preset, data and settings first.",
        )
    model: dict[str, Any] = rows.to_pylist()[0]
    return model


def _facts(
    clips: pa.Table, config: RunConfig, model: Mapping[str, Any], history: Sequence[Mapping[str, Any]]
) -> list[Fact]:
    """The headline of what was run."""
    own = clips.filter(pc.not_equal(clips["split"], "instrument"))  # the others taught nets, of whatever classes
    counts = Counter(own["split"].to_pylist())
    by_split = ", ".join(f"{n:,} {split.replace('_', '-')}" for split, n in sorted(counts.items()))
    labels = {label for label in own["label"].to_pylist() if label}
    spec = config.spec
    times = [record["time"] for record in history if "time" in record]
    return [
        Fact("Data", config.data.name, f"{len(labels)} classes" if labels else "without classes"),
        Fact("Clips", f"{own.num_rows:,}", by_split),
        Fact(
            "A clip",
            f"{spec.duration_s:g} s",
            f"{spec.width_px}×{spec.height_px} at {spec.video_rate_hz} fps, {spec.audio_rate_hz / 1000:g} kHz mono",
        ),
        Fact(
            "Model", f"{_short(model['parameters'])} values", f"{config.model.hidden} wide, {config.model.depth} deep"
        ),
        Fact(
            "Training",
            f"{model['steps']:,} steps",
            f"batch {config.train.batch}, {config.objective.kind}"
            + (f", {seconds(times[-1] - times[0])}" if len(times) > 1 else ""),
        ),
        *sampling_facts(config),
    ]


def _short(count: int) -> str:
    """A count in few digits: 1234567 → '1.23 M'."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= limit:
            return f"{count / limit:.3g}{unit}"
    return str(count)


def _provenance(catalog: Catalog, model: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """What the numbers stand on: identities, digests, and the versions to read the tables back at."""
    facts = [
        Fact("Model", model["model_id"]),
        Fact("Weights, sha256", model["weights_sha256"]),
        Fact("Trained on, digest", model["data_digest"]),
        Fact("Trained on, versions", _versions(json.loads(model["versions"]))),
        Fact("Trained by run", model["run_id"]),
    ]
    if scores:
        facts += [
            Fact("Scored on, digest", scores[-1]["data_digest"]),
            Fact("Scored on, versions", _versions(json.loads(scores[-1]["versions"]))),
            Fact("Evaluation", scores[-1]["stage_fp"]),
        ]
    return [*facts, Fact("Catalog now, versions", _versions(catalog.versions())), Fact("Written by", _software())]


def _software() -> str:
    """UniForm, Python, and the libraries that numbers depend on, each with its version."""
    libraries = [f"{name} {version(name)}" for name in ("torch", "torchaudio", "numpy", "scipy", "librosa", "ray")]
    return ", ".join([f"uniform {__version__}", f"Python {platform.python_version()}", *libraries])


def _versions(versions: Mapping[str, int]) -> str:
    """Table and version, those never written left out."""
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()) if version >= 0) or "nothing"
