"""Encode: every clip's picture and sound as the raw latents of the run's codecs, in immutable tensor shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.pool import PoolLimits
from tasks.stage import Stage, StageSummary, run_stage
from uniform_core.catalog.shards import ref_columns, write_shard
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import encode_candidates
from uniform_core.corpus.fingerprints import encode_fingerprint
from uniform_core.corpus.parts import weight_facts
from uniform_core.devices import is_on_gpu
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.media import CanonicalReader
from uniform_core.types import Modality


class EncodeWorker:
    """Reads canonical clips and encodes them, a batch of each modality at a time."""

    def __init__(self, *, config_json: str, media_dir: str, tensors_dir: str) -> None:
        torch.set_num_threads(1)
        config = RunConfig.model_validate_json(config_json)
        self._config, self._spec = config, config.spec
        self._media_dir, self._tensors_dir = Path(media_dir), Path(tensors_dir)
        self._video = config.video_codec.build(self._spec)
        self._audio = config.audio_codec.build(self._spec)
        self._reader = CanonicalReader()

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """One latent each, or why the clip could not be read."""
        wanted: defaultdict[str, dict[Modality, Mapping[str, Any]]] = defaultdict(dict)
        for row in batch:
            wanted[row["path"]][Modality(row["modality"])] = row
        failed: dict[str, Rejection] = {}
        inputs: dict[Modality, dict[str, Tensor]] = {modality: {} for modality in Modality}
        for path, rows in wanted.items():
            read = self._read(path)
            if isinstance(read, Rejection):
                failed.update({row["work_key"]: read for row in rows.values()})
                continue
            for modality, row in rows.items():
                inputs[modality][row["work_key"]] = read[modality]
        latents = {
            key: latent for modality in Modality for key, latent in self._encode(modality, inputs[modality]).items()
        }
        refs = write_shard(self._tensors_dir, "latents", list(latents.items())) if latents else {}
        return [
            failed[row["work_key"]]
            if row["work_key"] in failed
            else self._produced(row, refs[row["work_key"]], latents)
            for row in batch
        ]

    def _read(self, path: str) -> dict[Modality, Tensor] | Rejection:
        """Pixels in [-1, 1] and the waveform of a clip."""
        size_px = (self._spec.height_px, self._spec.width_px)
        try:
            frames_THWC, waveform_N = self._reader.read(
                self._media_dir / path, size_px=size_px, resize=self._config.resize
            )
        except IntegrityError as error:  # a canonical clip that was damaged after it was made
            return Rejection("damaged_clip", str(error), terminal=False)
        pixels = torch.from_numpy(frames_THWC).permute(3, 0, 1, 2).float() / 127.5 - 1.0
        return {Modality.VIDEO: pixels, Modality.AUDIO: torch.from_numpy(waveform_N)}

    @torch.inference_mode()
    def _encode(self, modality: Modality, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        if not inputs:
            return {}
        stacked = torch.stack(list(inputs.values()))
        latent = (
            self._video.encode(stacked)
            if modality is Modality.VIDEO
            else self._audio.encode(self._config.sound.mel_of(stacked, self._spec))
        )
        return dict(zip(inputs, latent.float().numpy(), strict=True))

    def _produced(self, row: Mapping[str, Any], ref: Any, latents: Mapping[str, np.ndarray]) -> ItemRows:
        modality = Modality(row["modality"])
        codec = self._config.video_codec if modality is Modality.VIDEO else self._config.audio_codec
        names = ("work_key", "stage_fp", "clip_id", "clip_sha256", "modality")
        columns = {name: row[name] for name in names} | {"codec": codec.kind, **ref_columns(ref)}
        return ItemRows(rows={"latents": [columns]}, bytes=latents[row["work_key"]].nbytes)


def run_encode(context: RunContext) -> list[StageSummary]:
    """Encode the clips of the run that have no latent of this codec yet."""
    config = context.config
    stage = Stage(
        name="encode",
        table="latents",
        stage_fp=encode_fingerprint(config, Modality.VIDEO),
        worker=EncodeWorker,
        setup={
            "config_json": config.model_dump_json(),
            "media_dir": str(context.settings.media_dir),
            "tensors_dir": str(context.settings.tensors_dir),
        },
        # One process holds a GPU: the codecs of several would not fit beside one another.
        workers=1 if is_on_gpu(config.video_codec, config.audio_codec) else context.settings.worker_cpus,
        batch=64,
        describe=item_name,
        limits=PoolLimits(recycle_after=40),  # decord 0.6 leaks about 0.14 MB an open
    )
    clips = context.clips()
    summary = run_stage(
        stage,
        encode_candidates(config, clips),
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )
    facts = weight_facts(config, ["encode"]) if summary.done else {}
    note = "\n".join(f"{name} {value:.7g}" for name, value in facts.items())
    return [replace(summary, note=note).require_accepted(max_reject_fraction=config.reject_limit)]
