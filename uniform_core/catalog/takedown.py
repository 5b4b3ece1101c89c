"""Takedowns of whole videos: every clip of one, whatever dataset lists it, those that are yet to come among them.

A video has a tombstone under its own id, by which nothing of it is fetched any more, and each of its clips has one, by
which rows are hidden. A writer that was at work meanwhile may add a clip: it gets its tombstone at the next `purge`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from uniform_core.catalog import shard_care
from uniform_core.catalog.gone import TOMBSTONES
from uniform_core.catalog.shard_care import Burial, tombstone
from uniform_core.errors import ConfigError

if TYPE_CHECKING:
    from uniform_core.catalog.store import Clock, Store

EVERY_DATASET: Final = ""
_ID: Final = re.compile(r"[^\s/]{1,200}")

# Clips of buried videos that have no tombstone of their own.
_LATE = """
SELECT DISTINCT d.dataset, d.source_id, t.reason, t.run_id, t.created_at
FROM stored.downloads d
    JOIN stored.tombstones t ON t.source_id = d.video_id AND t.dataset IN ('', d.dataset)
    ANTI JOIN stored.tombstones own ON own.dataset = d.dataset AND own.source_id = d.source_id
"""


def bury_videos(
    store: Store, video_ids: Sequence[str], *, dataset: str | None, reason: str, run_id: str, clock: Clock
) -> Burial:
    """What is gone: the videos of one dataset, or of every one (None), with all their clips.

    A video of which nothing was fetched yet (`unseen_videos`) is buried too: what lists it later leaves it out. Raises
    ConfigError, before any of them is buried, for what cannot be the id of a video, as an address or nothing cannot.
    """
    ids = list(dict.fromkeys(video_ids))
    if wrong := [one for one in ids if not (_ID.fullmatch(one) and one.isprintable())]:
        raise ConfigError(
            "takedown of videos",
            expected="ids of videos, as indexes write them",
            found=f"{len(wrong)} others: " + ", ".join(repr(one[:60]) for one in wrong[:5]),
            fix='Nothing was buried. `uniform query "SELECT DISTINCT dataset, video_id FROM downloads"` lists ids.',
        )
    place = EVERY_DATASET if dataset is None else dataset
    store.insert(TOMBSTONES, [tombstone(place, i, reason=reason, run_id=run_id, clock=clock) for i in ids])
    clips = _bury_late(store)
    return replace(shard_care.purge(store), sources=clips)


def unseen_videos(store: Store, video_ids: Sequence[str], *, dataset: str | None) -> list[str]:
    """Those of the videos of which nothing was ever fetched, in one dataset or in any (None): maybe a wrong id."""
    where = "" if dataset is None else " AND dataset = $dataset"
    rows = store.rows(
        f"SELECT DISTINCT video_id FROM stored.downloads WHERE list_contains($ids, video_id){where}",  # noqa: S608  (a text of ours)
        parameters={"ids": list(video_ids), **({} if dataset is None else {"dataset": dataset})},
    )
    known = {row["video_id"] for row in rows}
    return [video_id for video_id in dict.fromkeys(video_ids) if video_id not in known]


def purge(store: Store) -> Burial:
    """What was still to be removed of everything that has a tombstone, late clips of buried videos among it."""
    late = _bury_late(store)
    return replace(shard_care.purge(store), sources=late)


def _bury_late(store: Store) -> int:
    """How many clips of buried videos got their own tombstones."""
    if store.delta.snapshot_version(TOMBSTONES) < 0:
        return 0
    return store.insert(TOMBSTONES, [_own_tombstone(row) for row in store.rows(_LATE)])


def _own_tombstone(late: Mapping[str, Any]) -> dict[str, Any]:
    """The tombstone of a clip, for the reason and at the time of its video's."""
    words = {name: late[name] for name in ("reason", "run_id")}
    return tombstone(late["dataset"], late["source_id"], **words, clock=lambda: late["created_at"])
