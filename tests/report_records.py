"""A report without a run: scores that pass the gate, controls that it refuses, and films that play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flows.report.data import ClipCard, Fact, LostTile, ReportData, Tile
from flows.report.gate import gate_view
from flows.report.glance import headlines
from flows.report.losses import loss_charts
from flows.report.pictures import mp4_uri, png_uri
from flows.report.scores import score_plots, score_table
from uniform_core.build import build_run
from uniform_core.corpus.pictures import enlarged, mel_picture, strip_of
from uniform_core.metrics.gate import GateConfig, Rule, rules_of
from uniform_core.metrics.proof import MUST_FAIL, prove
from uniform_core.types import Modality, Task

SPEC = build_run("nano").spec
EXTRACTOR = {"fvd": "tinyvideo", "fad": "tinymel", "synchrony": "tinysync", "loss_gap": "model"}
NETS = {Modality.VIDEO: "tinyvideo", Modality.AUDIO: "tinymel"}
BESIDE = (("untrained", False), ("retrieval", False), ("codec_round_trip", True), ("real", True))


def row(name: str, system: str, task: str, value: float | None, **more: Any) -> dict[str, Any]:
    """A score as the catalog has it."""
    empty = {"low": None, "high": None, "p": None, "reason": None, "n_generated": 192, "n_reference": 384}
    return {**empty, "name": name, "system": system, "task": task, "value": value, **more}


def names_of(rule: Rule, task: Task) -> list[str]:
    """The names of the metrics that a rule reads of a task: one for each stream, where it is asked of each."""
    nets = [NETS[modality] for modality in task.made]
    extractors = nets if rule.by_stream else [EXTRACTOR.get(rule.metric, "gauge")]
    return [f"{rule.metric}.{extractor}.uniform_tiny" for extractor in extractors]


def scores(gate: GateConfig | None = None) -> list[dict[str, Any]]:
    """The model passes every check, every control fails every one."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for rule in rules_of(gate or GateConfig()):
        for task in rule.tasks:
            systems = ("uniform", "untrained", *(s for s, by_task in MUST_FAIL.items() if task in by_task))
            for name in names_of(rule, task):
                for system in ("codec_round_trip", "real"):
                    rows.setdefault((name, system, "all"), row(name, system, "all", 1.0))
                for system in systems:
                    found = rows.setdefault((name, system, task), row(name, system, str(task), 0.9, low=0.8, high=0.95))
                    column = rule.quantity if rule.quantity in ("low", "p") else "value"
                    is_right = system == "uniform"
                    step = 0.9 if is_right == (not rule.is_at_least) else 1.1
                    found[column] = rule.bound * (step if rule.bound > 0 else 2 - step)
    return list(rows.values())


def film(kind: str, *, seed: int) -> Tile:
    """A clip that plays: noise to see, a tone to hear."""
    frames_THWC = np.random.default_rng(seed).integers(0, 255, (SPEC.frames, 16, 16, 3), dtype=np.uint8)
    wave_N = np.sin(np.arange(SPEC.samples) / 9, dtype=np.float32) / 2
    strip = strip_of(frames_THWC)
    return Tile(
        kind=kind,
        given="from something",
        picture_is="made",
        sound_is="given",
        video_uri=mp4_uri(frames_THWC, wave_N, SPEC),
        poster_uri=png_uri(enlarged(frames_THWC[0])),
        strip_uri=png_uri(strip),
        strip_aspect=strip.shape[0] / strip.shape[1],
        mel_uri=png_uri(mel_picture(wave_N, SPEC)),
        marks_s=(0.25,),
    )


def report(
    rows: list[dict[str, Any]] | None = None, *, narrower: Sequence[str] = (), remark: str | None = None
) -> ReportData:
    """A page with everything on it."""
    rows = scores() if rows is None else rows
    proof = prove(rows, GateConfig(), narrower=narrower)
    columns, table = score_table(rows)
    history = [{"step": n, "task": "v2a", "losses": {"audio": 2.0 - n / 20}} for n in range(20)]
    tiles = (film("truth", seed=0), film("v2a", seed=1), LostTile("a2v", "from the sound alone", "no such file"))
    stage = {"stage": "ingest", "candidates": 9, "already_done": 0, "done": 8, "failed": 1, "waiting": 0}
    stage |= {"wall_s": 6.0, "cpu_s": 3.0, "bytes": 2048, "by_error_class": {"too_short": 1}}
    return ReportData(
        title="tiny on something with a rather long name",
        model_id="a" * 64,
        written_at="2030-01-01 00:00 UTC",
        facts=(Fact("Data", "something", "2 classes"),),
        gate=gate_view(proof, rows),
        remark=remark,
        headlines=headlines(proof.checks, rows),
        cards=(ClipCard("ball", "something/one", "a ball that bounces", SPEC.duration_s, tiles),),
        charts=loss_charts(history),
        columns=columns,
        scores=table,
        plots=score_plots(rows),
        stages=(stage,),
        tables=tuple({"table_name": f"t{n}", "rows": n, "bytes": None, "last_write": None} for n in (10, 9, 200)),
        failures=(
            {"stage": "ingest", "error_class": "too_short", "items": 9, "terminal": 9, "tries": 9, "example": "a.mp4"},
            {"stage": "ingest", "error_class": "no_audio", "items": 10, "terminal": 10, "tries": 10, "example": "b"},
        ),
        provenance=(Fact("Weights, sha256", "b" * 64),),
        config_json='{"preset": "tiny"}',
        command="uniform run --preset tiny",
    )
