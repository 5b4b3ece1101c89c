"""What a run works on: the items that its datasets list now, and the sources and clips that these became.

A source that the dataset no longer lists, or lists in another revision, stays in the catalog and leaves the run.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.filtering import filtered_splits
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.corpus.leakage import guarded_videos, twins
from uniform_core.corpus.left_out import COPY_OF, TWIN_OF, VIDEO_OF
from uniform_core.datasets.base import DatasetConfig
from uniform_core.fingerprint import digest
from uniform_core.types import SourceItem, Window

TWINS_AT_ONCE: Final = 1 << 18
"""So many clips are compared with the evaluated ones at once, which bounds the memory."""


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


def item_json(item: SourceItem) -> dict[str, Any]:
    """The item as JSON-able values; `item_from_json` is the inverse."""
    values = asdict(item) | {"attributes": dict(item.attributes)}
    values["path"] = None if item.path is None else str(item.path)
    return values


def item_from_json(values: Mapping[str, Any]) -> SourceItem:
    """The item of `item_json`."""
    windows, span, events = values["windows"], values["span"], values["event_times_s"]
    return SourceItem(
        **{
            name: values[name]
            for name in ("dataset", "source_id", "split", "label", "caption", "video_id", "attributes")
        },
        path=None if values["path"] is None else Path(values["path"]),
        span=None if span is None else Window(**span),
        windows=None if windows is None else tuple(Window(**window) for window in windows),
        event_times_s=None if events is None else tuple(events),
    )


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
    if config.leakage == "exclude":
        clips = _with_splits(clips, _without_twins(clips, evaluated=config.evaluate.split))
    if not config.data.filters.is_empty:
        clips = _with_splits(clips, filtered_splits(catalog, config.data.filters, clips))
    return clips


def _with_splits(clips: pa.Table, splits: pa.ChunkedArray) -> pa.Table:
    return clips.set_column(clips.schema.get_field_index("split"), "split", splits)


def _without_twins(clips: pa.Table, *, evaluated: str) -> pa.ChunkedArray:
    """The splits, those of clips changed that look and sound like an evaluated one."""
    splits, prints = clips["split"], clips.select(["clip_id", "picture_hash", "sound_print"])
    known = prints.filter(pc.equal(splits, evaluated)).to_pylist()
    others = prints.filter(pc.invert(_is_fixed(splits, evaluated))) if known else prints.slice(0, 0)
    alike: set[str] = set()
    for start in range(0, others.num_rows, TWINS_AT_ONCE):
        alike |= twins(others.slice(start, TWINS_AT_ONCE).to_pylist(), known)
    is_alike = pc.is_in(clips["clip_id"], value_set=pa.array(alike, pa.string()))
    return pc.if_else(is_alike, f"{TWIN_OF}{evaluated}", splits)


def _is_fixed(splits: pa.ChunkedArray, evaluated: str) -> pa.ChunkedArray:
    """Whether clips stay in their splits, or have left the run already."""
    stays = pc.is_in(splits, value_set=pa.array([evaluated, "instrument"]))
    return pc.or_(stays, pc.or_(pc.starts_with(splits, COPY_OF), pc.starts_with(splits, VIDEO_OF)))


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
