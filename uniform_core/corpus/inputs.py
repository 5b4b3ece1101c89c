"""What a run works on: the items that its datasets list now, and the sources and clips that these became.

A source that the dataset no longer lists, or lists in another revision, stays in the catalog and leaves the run.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.filtering import filtered_split, screens_of
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.corpus.items import item_json
from uniform_core.corpus.leakage import guarded_videos, twins
from uniform_core.corpus.left_out import COPY_OF, TWIN_OF, VIDEO_OF
from uniform_core.datasets.base import DatasetConfig
from uniform_core.datasets.filters import Filters
from uniform_core.fingerprint import digest
from uniform_core.types import SourceItem


@dataclass(frozen=True)
class ListedItem:
    """An item with the key of its ingest: a changed file, window or caption gives another key."""

    key: str
    item: SourceItem
    dataset_index: int  # which of `RunConfig.datasets`


def item_revision(item: SourceItem) -> str:
    """What of an item can change while its id stays: its facts, and its file's size and time where it has a file."""
    facts = asdict(item) | {"path": None, "attributes": dict(item.attributes)}
    if item.video_id is None:  # keys of what no index lists are as they were before there were indexes
        del facts["video_id"], facts["span"]
    if item.path is not None:
        facts["file"] = _file_stamp(item.path)
    return digest(facts)


def _file_stamp(path: Path) -> list[int] | None:
    """Size and time of a regular file; None for anything else, and for what has gone: its `fetch` says so."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns] if stat.S_ISREG(found.st_mode) else None


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


def ingest_candidates(config: RunConfig, *, listed: Iterable[ListedItem] | None = None) -> pa.Table:
    """One row for each listed item: its key, its name, and the whole item as JSON (`source`) for the worker.

    `listed` is `list_items(config)`, for who has it already.
    """
    rows = [
        {
            "work_key": one.key,
            "item": f"{one.item.dataset}/{one.item.source_id}",
            "dataset": one.item.dataset,
            "source_id": one.item.source_id,
            "dataset_index": one.dataset_index,
            "source": json.dumps(item_json(one.item)),
        }
        for one in (list_items(config) if listed is None else listed)
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


def current_clips(catalog: Catalog, config: RunConfig, *, listed: Iterable[ListedItem] | None = None) -> pa.Table:
    """The clips of the run as it is listed now: rows of `clips`, one for each clip id, with `source_caption`.

    Pixels and sound are a clip's own; its split, label, attributes and event times are those that its source was last
    listed with, for a clip is decoded once and keeps the facts of that day in its row. Events end with the clip, which
    may be shorter than its window. What is known from the evaluated split, and what a filter takes, is in no split of
    the run: see `left_out`. `listed` is `list_items(config)`, for who has it already.
    """
    items = list(list_items(config) if listed is None else listed)
    videos = guarded_videos(config, (one.item for one in items))
    clips = _listed_clips(catalog, config, items, videos=videos)
    splits = clips["split"].to_pylist()
    if config.leakage == "exclude" and config.evaluate.split in splits:
        splits = _without_twins(clips, splits, evaluated=config.evaluate.split)
    if not config.data.filters.is_empty:
        splits = _filtered(catalog, config.data.filters, clips, splits)
    return clips.set_column(clips.schema.get_field_index("split"), "split", pa.array(splits, pa.string()))


def _without_twins(clips: pa.Table, splits: Sequence[str], *, evaluated: str) -> list[str]:
    """The splits, those of clips changed that look and sound like an evaluated one."""
    rows = clips.select(["clip_id", "picture_hash", "sound_print"]).to_pylist()
    known = [row for row, split in zip(rows, splits, strict=True) if split == evaluated]
    others = [row for row, split in zip(rows, splits, strict=True) if not _is_fixed(split, evaluated)]
    alike = twins(others, known)
    return [
        f"{TWIN_OF}{evaluated}" if row["clip_id"] in alike else split for row, split in zip(rows, splits, strict=True)
    ]


def _is_fixed(split: str, evaluated: str) -> bool:
    """Whether a clip stays in its split, or has left the run already."""
    return split in (evaluated, "instrument") or split.startswith((COPY_OF, VIDEO_OF))


def _filtered(catalog: Catalog, filters: Filters, clips: pa.Table, splits: Sequence[str]) -> list[str]:
    """The splits, those of clips changed that a filter takes; instrument clips and those that have left stay."""
    screens = screens_of(catalog, filters)
    names = ["clip_id", "clip_sha256", "is_silent", "is_still", "motion"]
    return [
        split
        if split == "instrument" or split.startswith((COPY_OF, VIDEO_OF, TWIN_OF))
        else filtered_split(row, filters, screens.get((row["clip_id"], row["clip_sha256"]))) or split
        for row, split in zip(clips.select(names).to_pylist(), splits, strict=True)
    ]


def _listed_clips(
    catalog: Catalog, config: RunConfig, items: Sequence[ListedItem], *, videos: Mapping[str, str]
) -> pa.Table:
    """The clips of the listed items, in no split of the run where an evaluated clip has the same file or video."""
    listed_keys = pa.table(
        {
            "work_key": pa.array([one.key for one in items], pa.string()),
            "place": pa.array(range(len(items)), pa.int64()),
        }
    )
    guarded = pa.table(
        {"video_id": pa.array(videos, pa.string()), "split": pa.array(list(videos.values()), pa.string())}
    )
    return catalog.query(
        """
        WITH listed AS (
            SELECT s.* EXCLUDE (work_key, clip_ids), k.place, unnest(s.clip_ids) AS clip_id
            FROM sources s JOIN listed_keys k USING (work_key)
        ),
        evaluated AS (SELECT DISTINCT source_sha256 FROM listed WHERE split = $split)
        SELECT c.* REPLACE (
                   CASE WHEN NOT $exclude OR l.split IN ($split, 'instrument') THEN l.split
                        WHEN c.source_sha256 IN (FROM evaluated) THEN $copy
                        ELSE coalesce(v.split, l.split) END AS split,
                   l.video_id AS video_id, l.label AS label, l.attributes AS attributes,
                   list_transform(
                       list_filter(
                           l.event_times_s,
                           lambda t: c.start_ms / 1000 <= t
                               AND t < least(c.end_ms / 1000, c.start_ms / 1000 + c.frames / c.video_rate_hz)
                       ),
                       lambda t: t - c.start_ms / 1000
                   ) AS event_times_s
               ),
               l.caption AS source_caption
        FROM clips c JOIN listed l USING (dataset, source_id, source_sha256, stage_fp, clip_id)
        LEFT JOIN guarded_videos v ON v.video_id = l.video_id
        QUALIFY row_number() OVER (PARTITION BY c.clip_id ORDER BY l.place) = 1
        ORDER BY c.clip_id
        """,
        parameters={
            "split": config.evaluate.split,
            "copy": f"{COPY_OF}{config.evaluate.split}",
            "exclude": config.leakage == "exclude",
        },
        tables={"listed_keys": listed_keys, "guarded_videos": guarded},
    )
