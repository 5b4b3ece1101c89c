"""What a run works on: the items that its datasets list now, and the sources and clips that these became.

A source that the dataset no longer lists, or lists in another revision, stays in the catalog and leaves the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.datasets.base import DatasetConfig
from uniform_core.fingerprint import digest
from uniform_core.types import SourceItem, Window


@dataclass(frozen=True)
class ListedItem:
    """An item with the key of its ingest: a changed file, window or caption gives another key."""

    key: str
    item: SourceItem
    dataset_index: int  # which of `RunConfig.datasets`


def item_revision(item: SourceItem) -> str:
    """What of an item can change while its id stays: its facts, and its file's size and time where it has a file."""
    facts = asdict(item) | {"path": None, "attributes": dict(item.attributes)}
    if item.path is not None:
        stat = item.path.stat()
        facts["file"] = [stat.st_size, stat.st_mtime_ns]
    return digest(facts)


def list_items(config: RunConfig) -> Iterator[ListedItem]:
    """Every item of every dataset of the run, with its ingest key."""
    for index, dataset in enumerate(config.datasets):
        fingerprint = ingest_fingerprint(config, dataset)
        for item in _of_splits(dataset, config, index):
            key = digest(["ingest", item.dataset, item.source_id, fingerprint, item_revision(item)])
            yield ListedItem(key=key, item=item, dataset_index=index)


def _of_splits(dataset: DatasetConfig, config: RunConfig, index: int) -> Iterator[SourceItem]:
    """The dataset's items; of the instrument dataset only its instrument split."""
    for item in dataset.items(config.spec):
        if index == 0 or item.split == "instrument":
            yield item


def ingest_candidates(config: RunConfig) -> pa.Table:
    """One row for each listed item: its key, its name, and the whole item as JSON (`source`) for the worker."""
    rows = [
        {
            "work_key": listed.key,
            "item": f"{listed.item.dataset}/{listed.item.source_id}",
            "dataset": listed.item.dataset,
            "source_id": listed.item.source_id,
            "dataset_index": listed.dataset_index,
            "source": json.dumps(item_json(listed.item)),
        }
        for listed in list_items(config)
    ]
    schema = pa.schema(
        [
            ("work_key", pa.string()),
            ("item", pa.string()),
            ("dataset", pa.string()),
            ("source_id", pa.string()),
            ("dataset_index", pa.int64()),
            ("source", pa.string()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def item_json(item: SourceItem) -> dict[str, Any]:
    """The item as JSON-able values; `item_from_json` is the inverse."""
    values = asdict(item) | {"attributes": dict(item.attributes)}
    values["path"] = None if item.path is None else str(item.path)
    return values


def item_from_json(values: Mapping[str, Any]) -> SourceItem:
    """The item of `item_json`."""
    windows, events = values["windows"], values["event_times_s"]
    return SourceItem(
        **{name: values[name] for name in ("dataset", "source_id", "split", "label", "caption", "attributes")},
        path=None if values["path"] is None else Path(values["path"]),
        windows=None if windows is None else tuple(Window(**window) for window in windows),
        event_times_s=None if events is None else tuple(events),
    )


def current_clips(catalog: Catalog, config: RunConfig) -> pa.Table:
    """The clips of the run as it is listed now: rows of `clips`, with the source's caption as `source_caption`."""
    keys = pa.table({"work_key": pa.array([listed.key for listed in list_items(config)], pa.string())})
    return catalog.query(
        """
        WITH listed AS (
            SELECT s.dataset, s.source_id, s.source_sha256, s.stage_fp, s.caption, unnest(s.clip_ids) AS clip_id
            FROM sources s JOIN listed_keys k USING (work_key)
        )
        SELECT c.*, l.caption AS source_caption
        FROM clips c JOIN listed l USING (dataset, source_id, source_sha256, stage_fp, clip_id)
        ORDER BY c.clip_id
        """,
        tables={"listed_keys": keys},
    )
