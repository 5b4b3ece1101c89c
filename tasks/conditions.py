"""What clips are made from: for each clip that is wanted its caption, its file, and where its latents lie."""

from __future__ import annotations

from collections import defaultdict
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
        return self._read(row[f"{modality}_ref"])

    def mean_latent(self, row: Mapping[str, Any], modality: Modality) -> torch.Tensor:
        """The mean of the raw latents that `mean_of` of a row names, float32."""
        latents = [self._read(refs[f"{modality}_ref"]) for refs in row["mean_of"]]
        return torch.stack(latents).mean(dim=0, dtype=torch.float32)

    def _read(self, values: Mapping[str, Any]) -> torch.Tensor:
        return torch.from_numpy(self._shards.read(TensorRef(**{**values, "shape": tuple(values["shape"])})))

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


MEAN_CLIPS = 512  # training clips of a class, at most, that its mean is taken over
REF_NAMES = {"shard": "shard", "row_group": "row_group", "row_in_group": "row", "shape": "shape", "dtype": "dtype"}


def with_conditions(context: RunContext, candidates: pa.Table) -> pa.Table:
    """The candidates whose clip has been encoded, each with its caption, its file and where its latents lie."""
    config, clips = context.config, context.clips()
    paths = dict(zip(clips["clip_id"].to_pylist(), clips["path"].to_pylist(), strict=True))
    samples = {
        split: training_samples(context.catalog, config, clips, split=split).to_pylist()
        for split in (config.evaluate.split, config.train_split)
    }
    conditions = {
        sample["clip_id"]: {
            "caption": sample["caption"],
            "clip_path": paths[sample["clip_id"]],
            "label": sample["label"],
            **_refs(sample),
        }
        for sample in samples[config.evaluate.split]
    }
    rows = [row | conditions[row["clip_id"]] for row in candidates.to_pylist() if row["clip_id"] in conditions]
    of_class: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for sample in samples[config.train_split]:
        of_class[sample["label"]].append(_refs(sample))
    for row in rows:
        row["mean_of"] = of_class[row["label"]][:MEAN_CLIPS] if row["system"] == "class_mean" else None
    rows = [row for row in rows if row["mean_of"] != []]  # a class that is not trained on has no mean
    return pa.Table.from_pylist(rows, schema=pa.schema([*candidates.schema, *CONDITION_FIELDS]))


def _refs(sample: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{modality}_ref": _ref_values(sample, modality) for modality in Modality}


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
_REF_FIELDS = tuple(pa.field(f"{modality}_ref", _REF_TYPE) for modality in Modality)
CONDITION_FIELDS = (
    pa.field("caption", pa.string()),
    pa.field("clip_path", pa.string()),
    *_REF_FIELDS,
    pa.field("mean_of", pa.list_(pa.struct(_REF_FIELDS))),  # of a class's mean: where the latents of its clips lie
)
