"""What clips are made from: for each clip that is wanted its caption, its file, and where its latents lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from tasks.context import RunContext
from uniform_core.catalog.shards import ShardReader
from uniform_core.config import RunConfig
from uniform_core.corpus.samples import training_samples
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.generation.requests import GenerationRequest, Given
from uniform_core.media import CanonicalReader
from uniform_core.types import Modality, Task, TensorRef


class Conditions:
    """Reads what rows of `with_conditions` name."""

    def __init__(self, config: RunConfig, *, media_dir: Path, tensors_dir: Path) -> None:
        self._config, self._media_dir = config, media_dir
        self._reader, self._shards = CanonicalReader(), ShardReader(tensors_dir)

    def request(self, row: Mapping[str, Any]) -> GenerationRequest | Rejection:
        """The request of a row; or why its given clip could not be read."""
        task = Task(row["task"])
        given = None if task.given is None else self._given(row, task.given)
        if isinstance(given, Rejection):
            return given
        caption = row["caption"] if row["text_hash"] else None
        return GenerationRequest(row["work_key"], task, row["seed"], caption=caption, given=given)

    def latent(self, row: Mapping[str, Any], modality: Modality) -> torch.Tensor:
        """The stored raw latent of a row's clip."""
        ref = TensorRef(**{**row[f"{modality}_ref"], "shape": tuple(row[f"{modality}_ref"]["shape"])})
        return torch.from_numpy(self._shards.read(ref))

    def _given(self, row: Mapping[str, Any], modality: Modality) -> Given | Rejection:
        """The given modality as its stored latent, and as the media itself."""
        spec = self._config.spec
        size_px = (spec.height_px, spec.width_px)
        try:
            frames_THWC, waveform_N = self._reader.read(
                self._media_dir / row["clip_path"], size_px=size_px, resize=self._config.resize
            )
        except IntegrityError as error:  # a canonical clip that was damaged after it was made
            return Rejection("damaged_clip", str(error), terminal=False)
        media = frames_THWC if modality is Modality.VIDEO else waveform_N
        return Given(modality, self.latent(row, modality), media)


REF_NAMES = {"shard": "shard", "row_group": "row_group", "row_in_group": "row", "shape": "shape", "dtype": "dtype"}


def with_conditions(context: RunContext, candidates: pa.Table) -> pa.Table:
    """The candidates whose clip has been encoded, each with its caption, its file and where its latents lie."""
    clips = context.clips()
    paths = dict(zip(clips["clip_id"].to_pylist(), clips["path"].to_pylist(), strict=True))
    samples = training_samples(context.catalog, context.config, clips, split=context.config.evaluate.split)
    conditions = {
        sample["clip_id"]: {
            "caption": sample["caption"],
            "clip_path": paths[sample["clip_id"]],
            **{f"{modality}_ref": _ref_values(sample, modality) for modality in Modality},
        }
        for sample in samples.to_pylist()
    }
    rows = [row | conditions[row["clip_id"]] for row in candidates.to_pylist() if row["clip_id"] in conditions]
    return pa.Table.from_pylist(rows, schema=pa.schema([*candidates.schema, *CONDITION_FIELDS]))


def _ref_values(sample: Mapping[str, Any], modality: Modality) -> dict[str, Any]:
    names = {**REF_NAMES, "tensor_sha256": "sha256"}
    return {field: sample[f"{modality}_{column}"] for column, field in names.items()}


_REF_TYPE = pa.struct(
    [
        ("shard", pa.string()),
        ("row_group", pa.int32()),
        ("row", pa.int32()),
        ("shape", pa.list_(pa.int64())),
        ("dtype", pa.string()),
        ("sha256", pa.string()),
    ]
)
CONDITION_FIELDS = (
    pa.field("caption", pa.string()),
    pa.field("clip_path", pa.string()),
    *(pa.field(f"{modality}_ref", _REF_TYPE) for modality in Modality),
)
