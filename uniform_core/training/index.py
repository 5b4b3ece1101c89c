"""The table of training samples: which clip, and where its latents and its text lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

from uniform_core.catalog.shards import ref_columns, ref_of
from uniform_core.errors import SchemaError, WorkFailedError
from uniform_core.types import TensorRef

REF_FIELDS = {
    "shard": pa.string(),
    "row_group": pa.int32(),
    "row_in_group": pa.int32(),
    "shape": pa.list_(pa.int64()),
    "dtype": pa.string(),
    "tensor_sha256": pa.string(),
}
PARTS = ("video", "audio", "text")
TRAIN_INDEX_SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("caption", pa.string()),
        *(pa.field(f"{part}_{name}", kind) for part in PARTS for name, kind in REF_FIELDS.items()),
    ]
)


@dataclass(frozen=True)
class Sample:
    """One clip to train on. `text` is where its caption's features lie, or the caption where they are not stored.

    It is None where the clip has no caption: it is trained as without text.
    """

    clip_id: str
    label: str | None
    video: TensorRef
    audio: TensorRef
    text: TensorRef | str | None


@dataclass(frozen=True)
class TrainIndex:
    """Samples in order of their clip id, each once, whatever the order of the rows that they came from."""

    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    @classmethod
    def of(cls, table: pa.Table) -> TrainIndex:
        """The index of a table with the columns of TRAIN_INDEX_SCHEMA (others are ignored).

        Raises SchemaError for a missing column or a clip that stands twice, WorkFailedError for an empty table.
        """
        missing = [name for name in TRAIN_INDEX_SCHEMA.names if name not in table.column_names]
        if missing:
            raise SchemaError(
                "training index",
                expected="columns " + ", ".join(TRAIN_INDEX_SCHEMA.names),
                found="no " + ", ".join(missing),
                fix="Select them in the query that makes the index.",
            )
        samples = sorted((_sample_of(row) for row in table.to_pylist()), key=lambda sample: sample.clip_id)
        if not samples:
            raise WorkFailedError(
                "training index",
                expected="at least one clip with both latents",
                found="none",
                fix="See `uniform failures list`, then encode again.",
            )
        twice = [a.clip_id for a, b in pairwise(samples) if a.clip_id == b.clip_id]
        if twice:
            raise SchemaError(
                f"training index, clip {twice[0]}",
                expected="one row for each clip",
                found=f"{len(twice)} clips with more",
                fix="Choose one stage fingerprint and one caption corpus in the query that makes the index.",
            )
        return cls(tuple(samples))

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]]) -> TrainIndex:
        """The index of rows with the keys of TRAIN_INDEX_SCHEMA."""
        return cls.of(pa.Table.from_pylist([dict(row) for row in rows], schema=TRAIN_INDEX_SCHEMA))


def index_row(sample: Sample) -> dict[str, Any]:
    """The row of a sample, as TRAIN_INDEX_SCHEMA has it."""
    caption, text = (sample.text, None) if isinstance(sample.text, str) else (None, sample.text)
    row: dict[str, Any] = {"clip_id": sample.clip_id, "label": sample.label, "caption": caption}
    for part, ref in (("video", sample.video), ("audio", sample.audio), ("text", text)):
        columns = dict.fromkeys(REF_FIELDS) if ref is None else ref_columns(ref)
        row |= {f"{part}_{name}": value for name, value in columns.items()}
    return row


def _sample_of(row: Mapping[str, Any]) -> Sample:
    video, audio, text = (_ref_of(row, part) for part in PARTS)
    if video is None or audio is None:
        raise SchemaError(
            f"training index, clip {row['clip_id']}",
            expected="a video and an audio latent",
            found="no " + " and no ".join(p for p, ref in (("video", video), ("audio", audio)) if ref is None),
            fix="Join latents of both modalities in the query that makes the index.",
        )
    return Sample(row["clip_id"], row["label"], video, audio, row["caption"] if text is None else text)


def _ref_of(row: Mapping[str, Any], part: str) -> TensorRef | None:
    if row[f"{part}_shard"] is None:
        return None
    return ref_of({name: row[f"{part}_{name}"] for name in REF_FIELDS})
