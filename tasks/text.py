"""Text: the features of every distinct caption, ragged, once; the null text among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.stage import Stage, StageSummary, run_stage
from uniform_core.catalog.shards import ref_columns, write_shard
from uniform_core.corpus.candidates import text_candidates
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.fingerprints import text_fingerprint
from uniform_core.errors import Rejection
from uniform_core.text import AnyTextEncoder, TextEncoderConfig


class TextWorker:
    """One text encoder, loaded once."""

    def __init__(self, *, encoder_json: str, tensors_dir: str) -> None:
        self._config: TextEncoderConfig = TypeAdapter(AnyTextEncoder).validate_json(encoder_json)
        self._encoder = self._config.build()
        self._tensors_dir = Path(tensors_dir)

    @torch.inference_mode()
    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """The features of each text."""
        features = dict(
            zip((row["work_key"] for row in batch), self._encoder.encode([row["text"] for row in batch]), strict=True)
        )
        arrays = [(key, value.features_LD.float().numpy()) for key, value in features.items()]
        refs = write_shard(self._tensors_dir, "text", arrays)
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


def run_text(context: RunContext) -> list[StageSummary]:
    """Encode the captions of the run that have no features yet."""
    config = context.config
    captions = active_captions(context.catalog, config, context.clips())
    texts = dict(zip(captions["text_hash"].to_pylist(), captions["text"].to_pylist(), strict=True))
    stage = Stage(
        name="text",
        table="text_features",
        stage_fp=text_fingerprint(config),
        worker=TextWorker,
        setup={"encoder_json": config.text.model_dump_json(), "tensors_dir": str(context.settings.tensors_dir)},
        workers=0 if config.text.kind == "hashing" else context.settings.worker_cpus,
        batch=256,
        describe=item_name,
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
