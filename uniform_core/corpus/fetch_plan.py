"""What fetching would take now: clips, videos, bytes, and the time that hosts allow. Reads, never writes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from uniform_core.catalog import Catalog
from uniform_core.catalog.store import utc_now
from uniform_core.config import FetchConfig, RunConfig
from uniform_core.corpus.fetching import ABSENT, OPEN_STATES, STAGE, fetch_candidates, index_datasets, states
from uniform_core.corpus.inputs import ListedItem
from uniform_core.fetching.hosts import HostGates
from uniform_core.fetching.sources import HttpSource, SourceConfig, YoutubeSource
from uniform_core.fetching.time_left import Turns
from uniform_core.types import SourceItem

TYPICAL_BYTES_PER_S: Final = 90_000  # of a clip of at most 360 lines, as it is cut here: docs/experiments.md
TYPICAL_S: Final = 10.0  # of a clip of VGGSound, AudioSet or Landscape
HOUR_S: Final = 3600.0


@dataclass(frozen=True)
class HostPlan:
    """One host: how many videos an hour it may be asked for, and how long those that are left take at that."""

    host: str
    videos_per_hour: float
    seconds: float
    closed_until: datetime | None

    @property
    def words(self) -> str:
        """The host and its rate for a person, and until when it is closed."""
        closed = "" if self.closed_until is None else f", closed until {self.closed_until:%Y-%m-%d %H:%M} UTC"
        return f"{self.host} {self.videos_per_hour:,.0f} videos/h{closed}"


@dataclass(frozen=True)
class FetchPlan:
    """What is listed: `clips` of `videos`; of the clips `done`, `lost` (final), `absent` (no source has
    them), `waiting` (for a later try), `to_do`.

    `unlisted` of the clips to do are known by their published number alone, each taken to be of a video of its own.
    `seconds` is the time that the slowest host takes, or that validating takes on the machine, whichever is longer;
    `bytes` what the clips to do are expected to have.
    """

    clips: int
    videos: int
    videos_to_do: int
    done: int
    lost: int
    absent: int
    waiting: int
    to_do: int
    bytes: int
    seconds: float
    hosts: tuple[HostPlan, ...]
    unlisted: int = 0

    @property
    def note(self) -> str:
        """What a person reads beside the numbers."""
        parts = [
            f"{self.videos_to_do:,} of {self.videos:,} videos",
            *([f"{self.lost:,} clips lost"] if self.lost else []),
            *([f"{self.unlisted:,} clips by what was published"] if self.unlisted else []),
        ]
        return "; ".join([*parts, *(host.words for host in self.hosts)])


def plan_fetch(
    catalog: Catalog,
    config: RunConfig,
    listed: Iterable[ListedItem],
    *,
    clip_s: float,
    hosts_file: Path,
    unlisted: Mapping[int, int | None] = MappingProxyType({}),
) -> FetchPlan | None:
    """The plan of the run's indexes; None where it has none. `clip_s` are the seconds that validating one clip takes.

    `unlisted` are the published clips of datasets whose lists are not here, by their place in the run.

    Raises StorageError where what is kept of hosts cannot be read.
    """
    indexes = index_datasets(config)
    if not indexes:
        return None
    items = [one for one in listed if one.dataset_index in indexes]
    candidates = fetch_candidates(config, items)
    outstanding = catalog.outstanding("downloads", candidates, stage=STAGE).select(["dataset", "source_id"])
    due = {(row["dataset"], row["source_id"]) for row in outstanding.to_pylist()}
    rows = [_told(row) for row in states(catalog, candidates).to_pylist() if row["state"] != "taken_down"]
    is_open = [row for row in rows if row["state"] in OPEN_STATES]
    todo = [row for row in is_open if (row["dataset"], row["source_id"]) in due]
    coming = [one.item for one in items if (one.item.dataset, one.item.source_id) in due and one.item.video_id]
    to_come = {indexes[place].name: count or 0 for place, count in unlisted.items()}
    more = sum(to_come.values())
    videos = Counter(dataset for dataset, _ in _videos(todo)) + Counter(to_come)
    hosts = tuple(_hosts(config, videos, hosts_file))
    return FetchPlan(
        clips=len(rows) + more,
        videos=len(_videos(rows)) + more,
        videos_to_do=sum(videos.values()),
        done=sum(row["state"] == "ok" for row in rows),
        lost=sum(row["state"] not in ("ok", ABSENT, *OPEN_STATES) for row in rows),
        absent=sum(row["state"] == ABSENT for row in rows),
        waiting=len(is_open) - len(todo),
        to_do=len(todo) + more,
        bytes=_bytes(catalog, coming, unlisted=more),
        seconds=max([(len(todo) + more) * clip_s, *(host.seconds for host in hosts)]),
        hosts=hosts,
        unlisted=more,
    )


def _told(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row; a line that is no clip is lost also where no run has told of it yet."""
    return {**row, "state": "bad_index_line"} if row["video_id"] is None else row


def _videos(rows: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(row["dataset"], row["video_id"]) for row in rows if row["video_id"] is not None}


def _hosts(config: RunConfig, videos: Mapping[str, int], hosts_file: Path) -> Iterator[HostPlan]:
    """Every host that may be asked, as though it had to give all of the videos of the datasets that may ask it."""
    fetch: FetchConfig = config.fetch
    closed = HostGates(fetch.hosts, clock=utc_now, rng=random.Random(0), path=hosts_file).closed()  # noqa: S311
    wanted: Counter[str] = Counter()
    for dataset in index_datasets(config).values():
        names = {fetch.hosts.key_of(name): None for source in dataset.sources for name in sorted(hosts_of(source))}
        wanted.update(dict.fromkeys(names, videos.get(dataset.name, 0)))
    for name, count in wanted.items():
        per_s = fetch.hosts.rate_of(name).per_s
        until = closed[name].until if name in closed else None
        wait_s = 0.0 if until is None else max(0.0, (until - utc_now()).total_seconds())
        yield HostPlan(name, per_s * HOUR_S, count / per_s + wait_s, until)


def turns_of(config: RunConfig) -> dict[str, list[Turns]]:
    """What the sources of each dataset ask of hosts, in their order, by the names under which the gate counts hosts."""
    rules = config.fetch.hosts
    return {
        dataset.name: [
            Turns(source.kind, {rules.key_of(host): rules.rate_of(host).gap_s for host in sorted(hosts_of(source))})
            for source in dataset.sources
        ]
        for dataset in index_datasets(config).values()
    }


def hosts_of(source: SourceConfig) -> frozenset[str]:
    """The hosts that a source asks for videos; none for one that is on this machine."""
    if isinstance(source, YoutubeSource):
        return frozenset({urlsplit(source.watch_url).hostname or ""})
    return source.allowed_hosts if isinstance(source, HttpSource) else frozenset()


def _bytes(catalog: Catalog, due: Sequence[SourceItem], *, unlisted: int) -> int:
    """What clips are expected to have: as many bytes a second as those before, or as is usual."""
    known: list[dict[str, Any]] = catalog.rows("SELECT sum(bytes)::DOUBLE / sum(duration_s) AS per_s FROM downloads")
    per_s = known[0]["per_s"] or TYPICAL_BYTES_PER_S
    seconds = sum(item.windows[0].end_s if item.windows else TYPICAL_S for item in due) + unlisted * TYPICAL_S
    return round(seconds * per_s)
