"""Encode: every clip's picture and sound as the raw latents of the run's codecs, in immutable tensor shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.clip_reader import ClipReader
from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.pool import Part, PoolLimits, Seen
from tasks.stage import CommitRule, Stage, StageSummary, run_stage
from tasks.workforce import RECYCLE_AFTER_OPENS, workforce
from uniform_core.catalog.shards import ref_columns, write_shard
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import encode_candidates
from uniform_core.corpus.fingerprints import encode_fingerprint
from uniform_core.corpus.parts import weight_facts
from uniform_core.types import Modality

BATCH = 64  # rows: a modality of a clip each
CHUNK = 8  # of them for a reader at a time
GROUP_BYTES = 64 << 20  # of what is encoded at once, as it was read: pixels take four times that as numbers


class EncodeWorker:
    """Holds both codecs, and encodes what was read of clips, each modality of a batch together."""

    def __init__(self, *, config_json: str, tensors_dir: str) -> None:
        torch.set_num_threads(1)
        self._config = config = RunConfig.model_validate_json(config_json)
        self._tensors_dir = Path(tensors_dir)
        self._video = config.video_codec.build(config.spec)
        self._audio = config.audio_codec.build(config.spec)

    def process(self, batch: Sequence[Seen]) -> list[ItemRows]:
        """One latent each."""
        latents = self.encode(batch)
        refs = write_shard(self._tensors_dir, "latents", list(latents.items()))
        return [self._produced(seen.item, refs[seen.item["work_key"]], latents) for seen in batch]

    def encode(self, batch: Sequence[Seen]) -> dict[str, np.ndarray]:
        """The latents by the keys of their rows."""
        return {
            seen.item["work_key"]: latent
            for modality in Modality
            for group in _groups([seen for seen in batch if seen.item["modality"] == modality])
            for seen, latent in zip(group, self._encode(modality, [seen.value for seen in group]), strict=True)
        }

    @torch.inference_mode()
    def _encode(self, modality: Modality, arrays: Sequence[np.ndarray]) -> np.ndarray:
        stacked = torch.from_numpy(np.stack(arrays))
        if modality is Modality.AUDIO:
            latent = self._audio.encode(self._config.sound.mel_of(stacked, self._config.spec))
        else:
            latent = self._video.encode(_pixels(stacked))
        numbers: np.ndarray = latent.float().numpy()
        return numbers

    def _produced(self, row: Mapping[str, Any], ref: Any, latents: Mapping[str, np.ndarray]) -> ItemRows:
        modality = Modality(row["modality"])
        codec = self._config.video_codec if modality is Modality.VIDEO else self._config.audio_codec
        names = ("work_key", "stage_fp", "clip_id", "clip_sha256", "modality")
        columns = {name: row[name] for name in names} | {"codec": codec.kind, **ref_columns(ref)}
        return ItemRows(rows={"latents": [columns]}, bytes=latents[row["work_key"]].nbytes)


def _pixels(frames_BTHWC: Tensor) -> Tensor:
    """Pixels in [-1, 1], [B, 3, T, H, W]."""
    return frames_BTHWC.permute(0, 4, 1, 2, 3).contiguous().float() / 127.5 - 1.0


def _groups(several: Sequence[Seen]) -> Iterator[Sequence[Seen]]:
    """As many at a time as fit into `GROUP_BYTES`; arrays of a modality are all of one size."""
    at_once = max(1, GROUP_BYTES // several[0].value.nbytes) if several else 1
    for start in range(0, len(several), at_once):
        yield several[start : start + at_once]


def run_encode(context: RunContext) -> list[StageSummary]:
    """Encode the clips of the run that have no latent of this codec yet."""
    config, settings = context.config, context.settings
    config_json = config.model_dump_json()
    force = workforce(settings, config.video_codec, config.audio_codec, chunk=CHUNK)
    stage = Stage(
        name="encode",
        table="latents",
        stage_fp=encode_fingerprint(config, Modality.VIDEO),
        worker=EncodeWorker,
        setup={"config_json": config_json, "tensors_dir": str(settings.tensors_dir)},
        read_by=Part(ClipReader, {"config_json": config_json, "media_dir": str(settings.media_dir)}),
        readers=force.readers,
        workers=force.workers,
        resources=force.resources,
        batch=BATCH,
        describe=item_name,
        limits=PoolLimits(recycle_after=None if force.is_split else RECYCLE_AFTER_OPENS // (BATCH // 2)),
        commit=CommitRule(rows=4096, seconds=15.0),
    )
    summary = run_stage(
        stage,
        encode_candidates(config, context.clips()),
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )
    facts = weight_facts(config, ["encode"]) if summary.done else {}
    note = "\n".join(f"{name} {value:.7g}" for name, value in facts.items())
    return [replace(summary, note=note).require_accepted(max_reject_fraction=config.reject_limit)]
