"""Text: the features of every distinct caption, ragged, once, in the encoder's precision; the null text among them.

A run with `text_features=online` stores those of the null text alone: which encoder it was is then in the catalog, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.pool import PoolLimits
from tasks.stage import Stage, StageSummary, run_stage
from tasks.workforce import model_resources, wants_gpu
from uniform_core.catalog.shards import ShardWriter, ref_columns
from uniform_core.corpus.candidates import text_candidates
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.fingerprints import text_fingerprint
from uniform_core.errors import Rejection
from uniform_core.text import AnyTextEncoder, TextEncoderConfig
from uniform_core.training.tensors import array_of

# FLAN-T5-XXL takes seconds a text on a CPU, and minutes to come from a disk.
HEAVY_BATCH = 64
HEAVY_LIMITS = PoolLimits(batch_limit_s=3600.0, load_limit_s=1800.0)


class TextWorker:
    """One text encoder, loaded once; `threads` that it may compute with, None to leave them as they are."""

    def __init__(self, *, encoder_json: str, tensors_dir: str, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._config: TextEncoderConfig = TypeAdapter(AnyTextEncoder).validate_json(encoder_json)
        self._encoder = self._config.build()
        self._tensors_dir = Path(tensors_dir)

    @torch.inference_mode()
    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """The features of each text."""
        features = dict(
            zip((row["work_key"] for row in batch), self._encoder.encode([row["text"] for row in batch]), strict=True)
        )
        with ShardWriter(self._tensors_dir, "text") as writer:
            for key, value in features.items():
                array, dtype = array_of(value.features_LD)
                writer.add(key, array, dtype=dtype)
        refs = dict(writer.refs)
        return [
            ItemRows(
                rows={
                    "text_features": [
                        {
                            **{name: row[name] for name in ("work_key", "stage_fp", "text_hash")},
                            "encoder": self._config.kind,
                            "tokens": int(features[row["work_key"]].features_LD.shape[0]),
                            "is_truncated": features[row["work_key"]].is_truncated,
                            **ref_columns(refs[row["work_key"]]),
                        }
                    ]
                }
            )
            for row in batch
        ]


def _workers(context: RunContext) -> int:
    """Gigabytes of weights are loaded once, and their threads take the cores; more processes are for more GPUs."""
    is_on_gpu = wants_gpu(context.settings, context.config.text)
    return (context.settings.model_workers or 1) if is_on_gpu else 1


def run_text(context: RunContext) -> list[StageSummary]:
    """Encode the captions of the run that have no features yet."""
    config, cpus = context.config, context.settings.worker_cpus
    captions = active_captions(context.catalog, config, context.clips())
    texts = dict(zip(captions["text_hash"].to_pylist(), captions["text"].to_pylist(), strict=True))
    stage = Stage(
        name="text",
        table="text_features",
        stage_fp=text_fingerprint(config),
        worker=TextWorker,
        setup={
            "encoder_json": config.text.model_dump_json(),
            "tensors_dir": str(context.settings.tensors_dir),
            "threads": None if config.text.is_light else cpus,
        },
        workers=0 if config.text.is_light else _workers(context),
        resources=model_resources(context.settings, on_gpu=wants_gpu(context.settings, config.text)),
        batch=256 if config.text.is_light else HEAVY_BATCH,
        describe=item_name,
        limits=PoolLimits() if config.text.is_light else HEAVY_LIMITS,
    )
    summary = run_stage(
        stage,
        text_candidates(config, texts),
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )
    return [summary.require_accepted(max_reject_fraction=0.0)]
