"""What a run works on: the items that its datasets list now, and the sources and clips that these became.

A source that the dataset no longer lists, or lists in another revision, stays in the catalog and leaves the run.
"""

# ruff: noqa: S608  (names of columns come from this project's code; values are parameters)
from __future__ import annotations

import json
import stat
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.filtering import LOOKED_AT, filtered_splits
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.corpus.items import item_json
from uniform_core.corpus.leakage import guarded_videos, twins
from uniform_core.corpus.left_out import COPY_OF, TWIN_OF, has_leaked
from uniform_core.corpus.roles import Roles
from uniform_core.fingerprint import digest
from uniform_core.splits import INSTRUMENT
from uniform_core.types import SourceItem

TWINS_AT_ONCE: Final = 1 << 18
"""So many clips are compared with held-out ones at once, which bounds the memory."""
PRINTS: Final = ("clip_id", "dataset", "split", "picture_hash", "sound_print")
_NONE: Final = pc.scalar(False)  # the rows of no part of a run


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


def list_items(config: RunConfig, *, only: Container[int] | None = None) -> Iterator[ListedItem]:
    """Every item of every dataset of the run, with its ingest key: the same alone and as part of a union.

    `only` are places in `RunConfig.datasets`, where not all of them can be listed.
    """
    own = len(config.data.parts)
    for index, dataset in enumerate(config.datasets):
        if only is not None and index not in only:
            continue
        fingerprint = ingest_fingerprint(config, dataset)
        for item in dataset.items(config.spec):
            if index < own or item.split == INSTRUMENT:  # of other data than the run's own no other split
                key = digest(["ingest", item.dataset, item.source_id, fingerprint, item_revision(item)])
                yield ListedItem(key=key, item=item, dataset_index=index)


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


def current_clips(
    catalog: Catalog,
    config: RunConfig,
    *,
    listed: Iterable[ListedItem] | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """The clips of the run as it is listed now: rows of `clips`, one for each clip id, with `source_caption`.

    With `columns` these alone; what is looked at besides (prints of clips, for one) is read and let go of.
    Pixels and sound are a clip's own; its split, label, attributes and event times are those that its source was last
    listed with, for a clip is decoded once and keeps the facts of that day in its row. Events end with the clip, which
    may be shorter than its window. What is known from a held-out split, and what a filter takes, is in no split of
    the run: see `left_out`. `listed` is `list_items(config)`, for who has it already.
    """
    items = list(list_items(config) if listed is None else listed)
    roles = Roles.of(config)
    videos = guarded_videos(config, (one.item for one in items))
    filtered = [part for part in config.data.parts if not part.filters.is_empty]
    looked_at = [*(PRINTS if config.leakage == "exclude" else ()), *(LOOKED_AT if filtered else ())]
    names = None if columns is None else dict.fromkeys([*columns, "split", *looked_at])
    clips = _listed_clips(catalog, config, items, videos=videos, roles=roles, names=names)
    if config.leakage == "exclude":
        clips = _with_splits(clips, _without_twins(clips, roles))
    for part in filtered:
        clips = _with_splits(clips, filtered_splits(catalog, part.filters, clips, dataset=part.name))
    return clips if columns is None else clips.select(list(columns))


def _with_splits(clips: pa.Table, splits: pa.ChunkedArray) -> pa.Table:
    return clips.set_column(clips.schema.get_field_index("split"), "split", splits)


def _without_twins(clips: pa.Table, roles: Roles) -> pa.ChunkedArray:
    """The splits, those of clips changed that are learned from, and look and sound like a held-out one."""
    pairs = clips.select(["dataset", "split"]).group_by(["dataset", "split"]).aggregate([]).to_pylist()
    held_out: defaultdict[str, pc.Expression] = defaultdict(lambda: _NONE)
    learned = _NONE
    for dataset, split in ((pair["dataset"], pair["split"]) for pair in pairs if not has_leaked(pair["split"])):
        of_pair = (pc.field("dataset") == dataset) & (pc.field("split") == split)
        if (name := roles.held_out(dataset, split)) is not None:
            held_out[name] |= of_pair
        elif roles.learns(dataset, split):
            learned |= of_pair
    prints = clips.select(PRINTS)
    others, splits = prints.filter(learned), clips["split"]
    for name, known in sorted(held_out.items(), reverse=True):  # of several names that a clip is like, the first stays
        alike = _alike(others, prints.filter(known))
        splits = pc.if_else(pc.is_in(clips["clip_id"], value_set=alike), f"{TWIN_OF}{name}", splits)
    return splits


def _alike(others: pa.Table, known: pa.Table) -> pa.Array:
    """The ids of those of the others that look and sound like one that is known."""
    evaluated = known.to_pylist()
    found: set[str] = set()
    for start in range(0, others.num_rows, TWINS_AT_ONCE):
        found |= twins(others.slice(start, TWINS_AT_ONCE).to_pylist(), evaluated)
    return pa.array(sorted(found), pa.string())


def _listed_clips(
    catalog: Catalog,
    config: RunConfig,
    items: Sequence[ListedItem],
    *,
    videos: Mapping[str, str],
    roles: Roles,
    names: Iterable[str] | None,
) -> pa.Table:
    """The clips of the listed items, in no split of the run where a held-out clip has the same file or video.

    `names` are columns; None for all.
    """
    held_out = [roles.held_out(one.item.dataset, one.item.split) for one in items]
    learns = [roles.learns(one.item.dataset, one.item.split) for one in items]
    listed_keys = pa.table(
        {
            "work_key": pa.array([one.key for one in items], pa.string()),
            "place": pa.array(range(len(items)), pa.int64()),
            "held_out": pa.array(held_out, pa.string()),
            "learns": pa.array(learns, pa.bool_()),
        }
    )
    guarded = pa.table(
        {"video_id": pa.array(videos, pa.string()), "split": pa.array(list(videos.values()), pa.string())}
    )
    return catalog.query(
        f"""
        SELECT {"*" if names is None else ", ".join(names)} FROM (WITH listed AS (
            SELECT s.* EXCLUDE (work_key, clip_ids), k.place, k.held_out, k.learns, unnest(s.clip_ids) AS clip_id
            FROM sources s JOIN listed_keys k USING (work_key)
        ),
        known AS (
            SELECT source_sha256, min(held_out) AS of FROM listed WHERE held_out IS NOT NULL GROUP BY source_sha256
        )
        SELECT c.* REPLACE (
                   CASE WHEN NOT $exclude OR NOT l.learns THEN l.split
                        ELSE coalesce($copy || f.of, v.split, l.split) END AS split,
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
        LEFT JOIN known f ON f.source_sha256 = c.source_sha256
        LEFT JOIN guarded_videos v ON v.video_id = l.video_id
        QUALIFY row_number() OVER (PARTITION BY c.clip_id ORDER BY l.place) = 1
        ) ORDER BY clip_id
        """,
        parameters={"copy": COPY_OF, "exclude": config.leakage == "exclude"},
        tables={"listed_keys": listed_keys, "guarded_videos": guarded},
    )
