"""What leaves the house with a caption: its clip, its words, and where they came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

Form = Literal["parquet", "csv", "hf", "webdataset"]
SCHEMA: Final = pa.schema(
    [
        ("clip_id", pa.string()),
        ("dataset", pa.string()),
        ("source_id", pa.string()),
        ("video_id", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("caption", pa.string()),
        ("captioner", pa.string()),
        ("captioner_revision", pa.string()),
        ("prompt_hash", pa.string()),
        ("sampling", pa.string()),
        ("frame_policy", pa.string()),
        ("cleaning_version", pa.int32()),
        ("status", pa.string()),
        ("flags", pa.list_(pa.string())),
        ("clip_sha256", pa.string()),
    ]
)
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Shard:
    """One file of an export: its name, and its rows in the order of their clips."""

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class ShardRule:
    """How much goes into one file. A clip larger than `max_bytes` has a file of its own."""

    max_rows: int
    max_bytes: int | None = None  # of media


RULES: Final[Mapping[Form, ShardRule]] = {
    "parquet": ShardRule(max_rows=100_000),
    "csv": ShardRule(max_rows=100_000),
    "hf": ShardRule(max_rows=100_000),
    "webdataset": ShardRule(max_rows=10_000, max_bytes=1 << 30),
}
NAMES: Final[Mapping[Form, str]] = {
    "parquet": "captions-{number:05d}.parquet",
    "csv": "captions-{number:05d}.csv",
    "hf": "data/{split}-{number:05d}.parquet",
    "webdataset": "{split}-{number:06d}.tar",
}


def shards(rows: Iterable[Row], form: Form, rule: ShardRule | None = None) -> Iterator[Shard]:
    """The rows as files: those of a form that tells splits apart are numbered within their split.

    The same rows in the same order make the same files, so that an export that was killed goes on.
    """
    rule = RULES[form] if rule is None else rule
    waiting: dict[str, list[Row]] = {}
    sizes: dict[str, int] = {}
    numbers: dict[str, int] = {}

    def closed(split: str) -> Shard:
        numbers[split] = number = numbers.get(split, -1) + 1
        sizes[split] = 0
        return Shard(NAMES[form].format(split=split, number=number), waiting.pop(split))

    for row in rows:
        split = safe_split(row["split"]) if "{split}" in NAMES[form] else ""
        size = row.get("bytes") or 0
        is_heavy = rule.max_bytes is not None and sizes.get(split, 0) + size > rule.max_bytes
        if waiting.get(split) and (len(waiting[split]) >= rule.max_rows or is_heavy):
            yield closed(split)
        waiting.setdefault(split, []).append(row)
        sizes[split] = sizes.get(split, 0) + size
    for split in sorted(waiting):
        yield closed(split)


def safe_split(split: str) -> str:
    r"""A split as part of a file's name: letters, digits and low lines, as Hugging Face takes them.

    >>> safe_split("VGGSound test/../x")
    'VGGSound_test____x'
    """
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in split) or "all"


def provenance(row: Row) -> dict[str, Any]:
    """All of a row but what only we need, as one JSON-able value."""
    return {name: row.get(name) for name in SCHEMA.names}


def as_table(rows: Sequence[Row]) -> pa.Table:
    """The rows under `SCHEMA`."""
    return pa.Table.from_pylist([provenance(row) for row in rows], schema=SCHEMA)


def as_json(row: Row) -> bytes:
    """`provenance` as JSON."""
    return json.dumps(provenance(row), ensure_ascii=False, sort_keys=True).encode()
