"""The stage `fetch` without Ray and without hosts: made-up clips, workers that do as they are told, and a clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from catalog_rows import sha

from tasks.commits import CommitRule
from tasks.fetch_driver import FetchLoop, Result, Time
from tasks.fetch_results import ONLY_COPIES, Books, Fetched, Nowhere
from tasks.pool import PoolSummary
from uniform_core.catalog import Catalog
from uniform_core.corpus.fetching import fetch_key
from uniform_core.errors import Rejection
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Deferred, Failed
from uniform_core.fetching.time_left import Turns
from uniform_core.fingerprint import digest
from uniform_core.progress import ProgressEvent
from uniform_core.settings import Settings
from uniform_core.types import SourceItem, Window

DATASET = "clips"
HOST = "video.host"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class FakeTime:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now_is = NOON
        self.slept_s = 0.0

    def now(self) -> datetime:
        return self.now_is

    def sleep(self, seconds: float) -> None:
        self.now_is += timedelta(seconds=seconds)
        self.slept_s += seconds


def clip(number: int, *, split: str = "train", video: str | None = None) -> SourceItem:
    """A clip of 10 s; two neighbours are of one video."""
    video_id = f"video-{number // 2}" if video is None else video
    return SourceItem(
        dataset=DATASET,
        source_id=f"clip-{number}",
        split=split,
        video_id=video_id,
        span=Window(number % 2 * 10.0, number % 2 * 10.0 + 10),
    )


def bad_line(number: int) -> SourceItem:
    return SourceItem(dataset=DATASET, source_id=f"list.csv:{number}", split="train")


def candidates_of(items: Sequence[SourceItem]) -> pa.Table:
    rows = [
        {
            "work_key": fetch_key(item),
            "item": f"{item.dataset}/{item.source_id}",
            "dataset": item.dataset,
            "source_id": item.source_id,
            "split": item.split,
            "video_id": item.video_id,
            "source": "{}",
        }
        for item in items
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in rows[0]]))


def download_row(row: Mapping[str, Any], **columns: Any) -> dict[str, Any]:
    """A row of `downloads` but for its key and stamps."""
    values = {
        "dataset": row["dataset"],
        "source_id": row["source_id"],
        "video_id": row["video_id"],
        "start_ms": 0,
        "end_ms": 10_000,
        "source": "stand_in",
        "origin": f"http://{HOST}/{row['video_id']}",
        "path": f"sources/{row['dataset']}/{row['source_id']}.mp4",
        "source_sha256": sha("download", row["source_id"]),
        "bytes": 100,
        "container": "mp4",
        "duration_s": 10.0,
        "frames": 250,
        "width_px": 320,
        "height_px": 240,
        "video_rate_hz": 25.0,
        "video_codec": "h264",
        "audio_rate_hz": 16_000,
        "channels": 1,
        "audio_codec": "aac",
        "audio_peak": 0.5,
        "audio_rms_db": -20.0,
        "motion": 3.0,
        "is_silent": False,
        "is_still": False,
        "decode_errors": 0,
        "index_sha256": sha("index"),
        "tools": "{}",
    }
    return {**values, **columns}


class Host:
    """What a host would answer: each clip has a script, of which one word is taken at each request; then it is there.

    `wall_at` closes the host at that request, for an hour, for everybody. An answer takes `takes_s`. `at_request`
    gets the number of each request. `copies` are the clips that a copy on this machine has, and `looked_for` those that
    were asked of copies alone.
    """

    def __init__(self, time: FakeTime, scripts: Mapping[str, Sequence[Result | FailureClass]] = {}) -> None:
        self._time, self._scripts = time, {source_id: list(script) for source_id, script in scripts.items()}
        self.requests: list[str] = []
        self.batches: list[list[str]] = []
        self.wall_at: int | None = None
        self.open_at = NOON
        self.takes_s = 0.0
        self.at_request: Callable[[int], object] = lambda _number: None
        self.copies: set[str] = set()
        self.looked_for: list[str] = []

    def closed(self) -> dict[str, datetime]:
        return {HOST: self.open_at} if self.open_at > self._time.now() else {}

    def workers(
        self,
        batches: Iterator[Sequence[Mapping[str, Any]]],
        *,
        on_result: Callable[[Sequence[Any], Sequence[Any]], None],
        on_tick: Callable[[], None],
    ) -> PoolSummary:
        """A pool of one, in this process."""
        done = PoolSummary(actors=1)
        for batch in batches:
            self.batches.append([row["source_id"] for row in batch])
            on_result(batch, [self._answer(row) for row in batch])
            on_tick()
            done = done.joined(PoolSummary(items=len(batch), batches=1))
        return done

    def _answer(self, row: Mapping[str, Any]) -> Result:
        if row.get(ONLY_COPIES):
            self.looked_for.append(row["source_id"])
            has = row["source_id"] in self.copies
            return Fetched(download_row(row, source="folder"), 0) if has else Nowhere("none found in folder")
        self._time.now_is += timedelta(seconds=self.takes_s)
        if self.closed():
            return Deferred(HOST, self.open_at)
        self.requests.append(row["source_id"])
        self.at_request(len(self.requests))
        if len(self.requests) == self.wall_at:
            self.open_at = self._time.now() + timedelta(hours=1)
            return Failed(FailureClass.BOTWALL, "a wall")
        script = self._scripts.get(row["source_id"])
        if script:
            said = script.pop(0)
            return Failed(said, f"the host said {said}") if isinstance(said, FailureClass) else said
        return Fetched(download_row(row), 100)


class FetchBench:
    """A catalog in a fresh root, a clock, a host, and runs of the loop over the same clips."""

    def __init__(self, home: Path, items: Sequence[SourceItem]) -> None:
        self.catalog, self.time = Catalog.open(Settings(home=home)), FakeTime()
        self.candidates = candidates_of(items)
        self.host = Host(self.time)
        self.events: list[ProgressEvent] = []
        self.turns: dict[str, list[Turns]] = {}

    def run(
        self, *, patience_s: float = 7200.0, candidates: pa.Table | None = None, copies: Sequence[str] = ()
    ) -> Books:
        """`copies` are the datasets whose lost clips are looked for in copies first."""
        loop = FetchLoop(
            self.candidates if candidates is None else candidates,
            catalog=self.catalog,
            workers=self.host.workers,
            closed_hosts=self.host.closed,
            turns=self.turns,
            refuse=lambda row: Rejection("bad_index_line", f"line {row['source_id']}"),
            run_id="run",
            stage_fp=digest("fetch"),
            patience_s=patience_s,
            time=Time(self.time.now, self.time.sleep),
            listener=self.events.append,
            rng=random.Random(0),
            commit=CommitRule(),
        )
        loop.ask_copies(copies)
        return loop.run()

    def downloaded(self) -> list[str]:
        return sorted(self.catalog.read("downloads")["source_id"].to_pylist())

    def ledger(self) -> list[tuple[str, str]]:
        return sorted((row["item"], row["error_class"]) for row in self.catalog.read("attempts").to_pylist())
