"""What the stage `fetch` works on: the clips that the run's indexes list, and which of them have a file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig, placed
from uniform_core.corpus.inputs import ListedItem
from uniform_core.corpus.items import item_json
from uniform_core.datasets.index import IndexDataset
from uniform_core.errors import UniformError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.policies import POLICIES
from uniform_core.fingerprint import digest
from uniform_core.progress import Listener, silent
from uniform_core.types import SourceItem

STAGE = "fetch"
ABSENT = "absent"  # the class of a clip that no source has: every run asks again, since that costs nothing
_OF_DATA = re.compile(r"(?<![\w./-])data\.(?=[a-z])")  # a key of a dataset's config, as the dataset itself says it
_COLUMNS = ("work_key", "item", "dataset", "source_id", "split", "video_id", "source")


def has_indexes(config: RunConfig) -> bool:
    """Whether a run has anything to fetch."""
    return bool(index_datasets(config))


def index_datasets(config: RunConfig) -> dict[int, IndexDataset]:
    """The datasets of the run that list clips of videos elsewhere, by their place in `RunConfig.datasets`."""
    return {index: dataset for index, dataset in enumerate(config.datasets) if isinstance(dataset, IndexDataset)}


def prepare_indexes(config: RunConfig, *, on_progress: Listener = silent) -> None:
    """The lists of the run's indexes are here, and of those that it guards against; nothing is done where it has none.

    Raises ConfigError, ServiceError or StorageError that says which list is missing and what to do.
    """
    needed = needed_lists(config)
    for place, dataset in needed.items():
        if dataset.refused is not None:
            raise told_at(place, dataset.refused)
    for place, dataset in needed.items():
        try:
            dataset.prepare(on_progress=on_progress)
        except UniformError as error:
            raise told_at(place, error) from error


def needed_lists(config: RunConfig) -> dict[str, IndexDataset]:
    """The indexes whose lists a run reads, by their places in the config: its own, and those that it guards against.

    A run without an index has no video to guard, and reads no list for it.
    """
    own = {place: one for place, one in config.named_datasets.items() if isinstance(one, IndexDataset)}
    guards = config.guard_against if own and config.leakage == "exclude" else ()
    also = placed("guard_against", guards)
    return own | {place: one for place, one in also.items() if isinstance(one, IndexDataset)}


def told_at(place: str, error: UniformError) -> UniformError:
    """The error of a list, whose fix speaks of the place that the list has in the config."""
    fix, found = (_OF_DATA.sub(f"{place}.", words) for words in (error.fix, error.found))
    if place.startswith("guard_against"):
        fix += " It is a list to guard against: --set guard_against=[] goes on without any."
    return type(error)(error.item, expected=error.expected, found=found, fix=fix)


def fetch_key(item: SourceItem) -> str:
    """The key of a clip's file. How a clip is cut is not part of it: what was fetched once is not asked for again."""
    span = None if item.span is None else [item.span.start_ms, item.span.end_ms]
    return digest([STAGE, item.dataset, item.source_id, span])


def fetch_candidates(config: RunConfig, listed: Iterable[ListedItem]) -> pa.Table:
    """One row for each clip and each bad line of the run's indexes, with the whole item as JSON (`source`).

    `is_alone`: the clip's video has no other clip in these lists.
    """
    indexes = index_datasets(config)
    own = [one for one in listed if one.dataset_index in indexes]
    clips = Counter((one.item.dataset, one.item.video_id) for one in own)
    rows = [
        {
            "work_key": fetch_key(one.item),
            "item": f"{one.item.dataset}/{one.item.source_id}",
            **{name: getattr(one.item, name) for name in ("dataset", "source_id", "split", "video_id")},
            "dataset_index": one.dataset_index,
            "is_alone": clips[one.item.dataset, one.item.video_id] == 1,
            "source": json.dumps(item_json(one.item)),
        }
        for one in own
    ]
    fields = [*((name, pa.string()) for name in _COLUMNS), ("dataset_index", pa.int64()), ("is_alone", pa.bool_())]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def by_video(candidates: pa.Table) -> Iterator[list[dict[str, Any]]]:
    """The rows of candidates, those of one video of one dataset together, in the order in which each is named first."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, (dataset, video_id) in enumerate(
        zip(candidates["dataset"].to_pylist(), candidates["video_id"].to_pylist(), strict=True)
    ):
        places.setdefault((dataset, video_id), []).append(place)
    for several in places.values():
        yield candidates.take(several).to_pylist()


def without_buried_videos(catalog: Catalog, candidates: pa.Table) -> pa.Table:
    """The candidates but for those of videos that were taken down as a whole, in this dataset or in every one."""
    gone = {(row["dataset"], row["source_id"]) for row in catalog.rows("SELECT dataset, source_id FROM tombstones")}
    if not gone:
        return candidates
    pairs = zip(candidates["dataset"].to_pylist(), candidates["video_id"].to_pylist(), strict=True)
    return candidates.filter([gone.isdisjoint({(dataset, video), ("", video)}) for dataset, video in pairs])


def fetched_items(catalog: Catalog, config: RunConfig, listed: Iterable[ListedItem]) -> tuple[ListedItem, ...]:
    """The items of the run but for those of an index that have no file: they are nobody's work but the fetcher's."""
    indexes, items = index_datasets(config), tuple(listed)
    if not indexes:
        return items
    keys = {row["work_key"] for row in catalog.rows("SELECT work_key FROM downloads")}
    return tuple(one for one in items if one.dataset_index not in indexes or fetch_key(one.item) in keys)


def states(catalog: Catalog, candidates: pa.Table) -> pa.Table:
    """What became of each candidate, in their order: dataset, source_id, video_id, split, state, message, retry_at.

    `state` is `ok`, `taken_down`, a class of failure that is final, `absent` (no source has it), `waiting` (failed, and
    to be tried again) or `not_tried`; `error_class` is the class of what failed last, and `tries` how often it failed.
    """
    names = ["work_key", "dataset", "source_id", "video_id", "split"]
    wanted = candidates.select(names).append_column("n", pa.array(range(candidates.num_rows), pa.int64()))
    return catalog.query(
        """
        WITH last AS (
            SELECT *, count(*) FILTER (WHERE event = 'failed') OVER (PARTITION BY item_key) AS tries
            FROM attempts WHERE stage = $stage
            QUALIFY row_number() OVER (PARTITION BY item_key ORDER BY created_at DESC, event DESC, work_key) = 1
        ),
        gone AS (SELECT DISTINCT dataset, source_id FROM tombstones)
        SELECT
            w.dataset, w.source_id, w.video_id, w.split,
            CASE
                WHEN EXISTS (
                    FROM gone g WHERE (g.dataset = w.dataset AND g.source_id IN (w.source_id, w.video_id))
                    OR (g.dataset = '' AND g.source_id = w.video_id)
                ) THEN 'taken_down'
                WHEN d.work_key IS NOT NULL THEN 'ok'
                WHEN l.event = 'failed' AND l.is_terminal THEN l.error_class
                WHEN l.event = 'failed' AND l.error_class = $absent THEN $absent
                WHEN l.event = 'failed' THEN 'waiting'
                ELSE 'not_tried'
            END AS state,
            CASE WHEN l.event = 'failed' THEN l.error_class END AS error_class,
            CASE WHEN l.event = 'failed' THEN l.message END AS message,
            CASE WHEN l.event = 'failed' THEN l.retry_at END AS retry_at,
            coalesce(l.tries, 0)::BIGINT AS tries
        FROM wanted w
            LEFT JOIN (SELECT DISTINCT work_key FROM downloads) d ON d.work_key = w.work_key
            LEFT JOIN last l ON l.item_key = w.work_key
        QUALIFY row_number() OVER (PARTITION BY w.work_key ORDER BY w.n) = 1
        ORDER BY w.n
        """,
        parameters={"stage": STAGE, "absent": ABSENT},
        tables={"wanted": wanted},
    )


def recheck_at(failed: Mapping[str, Any]) -> datetime | None:
    """When a person may ask for another try of what failed, a row of `attempts`: what is gone stays gone a while.

    None: at any time.
    """
    if failed["stage"] != STAGE or failed["error_class"] not in set(FailureClass):
        return None
    recheck_s = POLICIES[FailureClass(failed["error_class"])].recheck_s
    looked_at: datetime = failed["created_at"]
    return looked_at + timedelta(seconds=recheck_s) if recheck_s else None


OPEN_STATES = ("waiting", "not_tried")  # of clips that have no file, and may still get one


def attrition(found: pa.Table) -> list[dict[str, Any]]:
    """How many clips of each split are listed, are ok, are lost by each class, and are waiting; `found` is `states`."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for dataset, split, state in zip(*(found[name].to_pylist() for name in ("dataset", "split", "state")), strict=True):
        of_split = counts.setdefault((dataset, split), {})
        of_split[state] = of_split.get(state, 0) + 1
    classes = sorted({state for of_split in counts.values() for state in of_split} - {"ok", *OPEN_STATES})
    return [
        {
            "dataset": dataset,
            "split": split,
            "listed": sum(of_split.values()),
            "ok": of_split.get("ok", 0),
            **{name: of_split.get(name, 0) for name in classes},
            "waiting": sum(of_split.get(name, 0) for name in OPEN_STATES),
            "percent_ok": _percent(of_split),
        }
        for (dataset, split), of_split in sorted(counts.items())
    ]


def _percent(counts: Mapping[str, int]) -> float:
    return round(100 * counts.get("ok", 0) / sum(counts.values()), 1)


def missing(found: pa.Table) -> list[dict[str, Any]]:
    """The clips that are listed and have no file, with the class of what failed; `found` is `states`."""
    return [
        {
            "dataset": row["dataset"],
            "source_id": row["source_id"],
            "video_id": row["video_id"],
            "split": row["split"],
            "error_class": row["error_class"] or row["state"],
            "is_final": row["state"] not in (ABSENT, *OPEN_STATES),
            "tries": row["tries"],
            "retry_at": row["retry_at"],
            "message": row["message"],
        }
        for row in found.to_pylist()
        if row["state"] not in ("ok", "taken_down")
    ]
