"""Screen: what the synchrony net says of how a clip's picture and sound belong together, where a filter asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.instruments import load_instruments, run_instruments
from tasks.pool import PoolLimits
from tasks.stage import Stage, StageSummary, run_stage
from uniform_core.codecs.mel import log_mel
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import screen_candidates
from uniform_core.corpus.fingerprints import screen_fingerprint
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.media import CanonicalReader
from uniform_core.metrics.extractors import EvalBatch
from uniform_core.metrics.screening import TinySyncScreener
from uniform_core.metrics.trained import load_net


class ScreenWorker:
    """Reads canonical clips as the net was trained to see them. Holds one screener."""

    def __init__(self, *, config_json: str, media_dir: str, net_dir: str) -> None:
        torch.set_num_threads(1)
        config = RunConfig.model_validate_json(config_json)
        self._spec, self._resize, self._media_dir = config.spec, config.resize, Path(media_dir)
        self._screener = TinySyncScreener(load_net(Path(net_dir)))
        self._reader = CanonicalReader()

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """What is said of each clip, or why it could not be read."""
        return [self._screen(row) for row in batch]

    def _screen(self, row: Mapping[str, Any]) -> ItemRows | Rejection:
        spec = self._spec
        try:
            frames_THW3, waveform_N = self._reader.read(
                self._media_dir / row["path"], size_px=(spec.height_px, spec.width_px), resize=self._resize
            )
        except IntegrityError as error:  # a canonical clip that was damaged after it was made
            return Rejection("damaged_clip", str(error), terminal=False)
        mel_BTF = log_mel(torch.from_numpy(waveform_N)[None], spec).numpy()
        batch = EvalBatch(
            frames_THW3[None],
            mel_BTF,
            waveform_N[None],
            video_rate_hz=spec.video_rate_hz,
            audio_rate_hz=spec.audio_rate_hz,
        )
        [screened] = self._screener.screen(batch)
        names = ("work_key", "stage_fp", "clip_id", "clip_sha256", "dataset")
        columns = {name: row[name] for name in names} | {"screener": self._screener.name, **asdict(screened)}
        return ItemRows(rows={"screens": [columns]})


def run_screen(context: RunContext) -> list[StageSummary]:
    """Screen the clips that the run's filters ask about, by instruments trained first; nothing if none asks."""
    config = context.config
    asking = {part.name for part in config.data.parts if part.filters.reads_screens}
    if not asking:
        return []
    trained = run_instruments(context)
    instruments = load_instruments(context)
    stage_fp = screen_fingerprint(config, TinySyncScreener(instruments.nets["sync"]).fingerprint)
    stage = Stage(
        name="screen",
        table="screens",
        stage_fp=stage_fp,
        worker=ScreenWorker,
        setup={
            "config_json": config.model_dump_json(),
            "media_dir": str(context.settings.media_dir),
            "net_dir": str(instruments.folders["sync"]),
        },
        workers=context.settings.worker_cpus,
        batch=32,
        describe=item_name,
        limits=PoolLimits(recycle_after=40),  # decord 0.6 leaks about 0.14 MB an open
    )
    clips = context.clips()
    summary = run_stage(
        stage,
        screen_candidates(clips.filter(pc.is_in(clips["dataset"], pa.array(sorted(asking)))), stage_fp=stage_fp),
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )
    return [trained, summary.require_accepted(max_reject_fraction=config.reject_limit)]
