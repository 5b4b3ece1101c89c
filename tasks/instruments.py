"""The instruments: small feature nets of the tiny preset, trained on the instrument split, once for each recipe."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.pool import PoolLimits
from tasks.stage import CommitRule, Stage, StageSummary, run_stage
from uniform_core.codecs.griffin_lim import GriffinLimVocoder
from uniform_core.codecs.mel import log_mel
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import NETS
from uniform_core.corpus.fingerprints import instruments_fingerprint
from uniform_core.errors import Rejection, WorkFailedError
from uniform_core.fingerprint import digest, file_sha256, set_digest
from uniform_core.media import CanonicalReader
from uniform_core.metrics.train_nets import train_mel_net, train_sync_net, train_video_net
from uniform_core.metrics.trained import WEIGHTS, TrainedNet, load_net, save_net
from uniform_core.spec import AVSpec

RESOUND_ITERATIONS = 4  # what no sound leaves empty is filled by then; it need not sound well


class InstrumentWorker:
    """Trains one net at a time on the clips of the instrument split."""

    def __init__(
        self, *, config_json: str, media_dir: str, checkpoints_dir: str, clips: Sequence[Mapping[str, str]]
    ) -> None:
        torch.set_num_threads(1)
        self._config = RunConfig.model_validate_json(config_json)
        self._media_dir, self._checkpoints_dir = Path(media_dir), Path(checkpoints_dir)
        self._clips, self._reader = clips, CanonicalReader()

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """The row of each net, trained and saved."""
        return [self._train(row) for row in batch]

    def _train(self, row: Mapping[str, Any]) -> ItemRows:
        started = time.monotonic()
        nets, seed = self._config.evaluate.nets, self._config.evaluate.seed
        labels = [clip["label"] for clip in self._clips]
        if row["kind"] == "video":
            net: TrainedNet[Any] = train_video_net(self._frames, labels, seed=seed, training=nets.video)
        elif row["kind"] == "mel":
            net = train_mel_net(self._mels, labels, seed=seed, training=nets.mel, resound=resounding(self._config.spec))
        else:
            net = train_sync_net(self._frames, self._mels, labels, seed=seed, training=nets.sync)
        folder = Path("instruments") / f"{row['kind']}-{row['work_key'][:12]}"
        save_net(net, self._checkpoints_dir / folder)
        columns = {
            "work_key": row["work_key"],
            "stage_fp": row["stage_fp"],
            "model_id": row["work_key"],
            "kind": f"{row['kind']}_net",
            "path": folder.as_posix(),
            "weights_sha256": file_sha256(self._checkpoints_dir / folder / WEIGHTS),
            "parameters": sum(p.numel() for p in net.module.parameters()),
            "steps": getattr(nets, row["kind"]).steps,
            "data_digest": row["data_digest"],
            "versions": row["versions"],
            "metrics": json.dumps({**net.metrics, "wall_s": time.monotonic() - started}),
        }
        return ItemRows(rows={"models": [columns]})

    @cached_property
    def _frames(self) -> np.ndarray:
        """Frames uint8 [N, T, H, W, 3] in the order of the clips; read by the first net that looks."""
        size_px = (self._config.spec.height_px, self._config.spec.width_px)
        rule = self._config.resize  # as metrics load what the nets will look at
        every = (self._reader.frames(self._media_dir / clip["path"], None) for clip in self._clips)
        return np.stack([self._reader.resize(frames, size_px=size_px, resize=rule) for frames in every])

    @cached_property
    def _mels(self) -> np.ndarray:
        """Log-mels float32 [N, T, F] in the order of the clips; read by the first net that listens."""
        waves = [self._reader.sound(self._media_dir / clip["path"]) for clip in self._clips]
        return log_mel(torch.from_numpy(np.stack(waves)), self._config.spec).numpy()


def resounding(spec: AVSpec) -> Callable[[torch.Tensor], torch.Tensor]:
    """Log-mels [N, T, F] → those of the sounds that Griffin-Lim makes of them, whatever vocoder the run has."""
    vocoder = GriffinLimVocoder(spec, iterations=RESOUND_ITERATIONS)
    return lambda mels_NTF: log_mel(vocoder.synthesise(mels_NTF), spec)


@dataclass(frozen=True)
class Instruments:
    """The nets of a run, ready to look."""

    nets: Mapping[str, TrainedNet[Any]]
    folders: Mapping[str, Path]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.nets["video"].classes


def run_instruments(context: RunContext) -> StageSummary:
    """Train the nets that this recipe and these clips do not have yet."""
    config = context.config
    clips = _instrument_clips(context)
    if not clips:
        raise WorkFailedError(
            "instruments",
            expected=f"clips in the split instrument of {config.instrument.name}",
            found="none",
            fix="Run `uniform ingest` first; its failures are in `uniform failures list`.",
        )
    stage = Stage(
        name="instruments",
        table="models",
        stage_fp=instruments_fingerprint(config, NETS[0]),
        worker=InstrumentWorker,
        setup={
            "config_json": config.model_dump_json(),
            "media_dir": str(context.settings.media_dir),
            "checkpoints_dir": str(context.settings.checkpoints_dir),
            "clips": [{"path": clip["path"], "label": clip["label"] or ""} for clip in clips],
        },
        workers=min(2, context.settings.worker_cpus),
        batch=1,
        describe=item_name,
        limits=PoolLimits(batch_limit_s=3600.0),
        commit=CommitRule(rows=1),
    )
    summary = run_stage(
        stage,
        instrument_candidates(context),
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )
    return summary.require_accepted(max_reject_fraction=0.0)


def instrument_candidates(context: RunContext) -> pa.Table:
    """One row for each net; the longest training first, so that the others run beside it."""
    clips = _instrument_clips(context)
    data = set_digest(f"{clip['label']}/{clip['clip_sha256']}" for clip in clips)
    versions = json.dumps(context.catalog.versions(["sources", "clips"]))
    rows = []
    for kind in reversed(NETS):
        fp = instruments_fingerprint(context.config, kind)
        key = digest(["instrument", fp, data])
        rows.append({"work_key": key, "item": f"{kind} net", "dataset": "", "kind": kind, "stage_fp": fp})
    return pa.Table.from_pylist([row | {"data_digest": data, "versions": versions} for row in rows])


def load_instruments(context: RunContext) -> Instruments:
    """The trained nets of this run. Raises IntegrityError where one is damaged."""
    keys = {row["kind"]: row["work_key"] for row in instrument_candidates(context).to_pylist()}
    root = context.settings.checkpoints_dir / "instruments"
    folders = {kind: root / f"{kind}-{key[:12]}" for kind, key in keys.items()}
    return Instruments({kind: load_net(folder) for kind, folder in folders.items()}, folders)


def _instrument_clips(context: RunContext) -> list[dict[str, Any]]:
    clips = context.clips().to_pylist()
    return [clip for clip in clips if clip["split"] == "instrument"]
