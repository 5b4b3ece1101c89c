"""How long fetching still takes, by what hosts allow or by the work; and what a run says of it while it waits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fetch_bench import DATASET, HOST, NOON, FetchBench, Host, candidates_of, clip

from tasks.fetch_driver import Result
from uniform_core.build import build_run
from uniform_core.corpus.fetch_plan import turns_of
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.time_left import TimeLeft, Turns

A_MINUTE = {"d": [Turns("folder", {}), Turns("youtube", {"youtube.com": 12.0})]}


def left_of(left: TimeLeft, *, worked_s: float = 0.0, **more: Any) -> tuple[float, str | None]:
    found = left.estimate(NOON, worked_s=worked_s, closed=more.pop("closed", {}), **more)
    return round(found.seconds, 3), found.host


def test_a_host_counts_by_the_video_and_the_work_by_the_clip() -> None:
    left = TimeLeft(A_MINUTE, [("d", "x"), ("d", "x"), ("d", "y")])
    assert left_of(left) == (24, "youtube.com"), "two videos"
    for number in range(2):
        left.answered(("d", "x"), "youtube", is_settled=True)
        assert left_of(left)[0] == (24, 12)[number], "the video is done with its last clip"
    assert left_of(left, worked_s=80.0) == (27, None), "as one clip of three, where the work is slower than the host"
    left.answered(("d", "y"), "youtube", is_settled=False)
    assert left_of(left) == (12, "youtube.com"), "it will be asked for again"
    left.answered(("d", "y"), "youtube", is_settled=True)
    assert left_of(left, worked_s=80.0) == (0, None)


def test_a_host_counts_for_the_share_of_videos_that_it_is_asked_for() -> None:
    """A folder that has nearly all must not be told off as a host of weeks; one that has none must not hide it."""
    videos = [("d", f"v{number}") for number in range(200)]
    left = TimeLeft(A_MINUTE, videos)
    assert left_of(left) == (2400, "youtube.com"), "nobody knows better yet"
    for video in videos[:99]:
        left.answered(video, "folder", is_settled=True)
    assert left_of(left)[0] == pytest.approx(101 * 12 / 100, rel=0.01)
    failing = TimeLeft(A_MINUTE, videos)
    for video in videos[:99]:
        failing.answered(video, None, is_settled=True)
    assert left_of(failing) == (101 * 12, "youtube.com"), "what failed was asked for everywhere"
    kept = TimeLeft(A_MINUTE, videos)
    for video in videos[:99]:
        kept.answered(video, "kept", is_settled=True)
    assert left_of(kept)[0] == pytest.approx(101 * 12 / 100, rel=0.01), "what lay there was asked of nobody"


def test_a_closed_host_is_waited_for_and_then_gives_its_turns() -> None:
    left = TimeLeft(A_MINUTE, [("d", "x"), ("d", "y")])
    in_an_hour = NOON + timedelta(hours=1)
    assert left_of(left, closed={"youtube.com": in_an_hour}) == (3600 + 24, "youtube.com")
    assert left_of(left, closed={"other.host": in_an_hour}) == (24, "youtube.com")
    assert left_of(left, resumes=NOON + timedelta(minutes=1)) == (60 + 24, "youtube.com")
    assert left_of(left, closed={"youtube.com": NOON - timedelta(hours=1)}) == (24, "youtube.com")


def test_datasets_of_one_host_take_its_turns_one_after_the_other() -> None:
    turns = {name: [Turns("http", {"h": 2.0}), Turns("http", {"h": 2.0})] for name in ("a", "b")}
    left = TimeLeft(turns, [("a", "x"), ("b", "x"), ("b", "y")])
    assert left_of(left) == (6, "h"), "a video is asked for once, however many sources are of its host"


def test_turns_are_those_of_the_gate() -> None:
    sources = '[{"kind": "folder", "path": "/films"}, {"kind": "youtube"}]'
    hosts = '{"rates": {"youtube.com": {"per_s": 0.5}}}'
    words = [f"data.members.vggsound.sources={sources}", f"fetch.hosts={hosts}"]
    config = build_run("nano", data="vggsound:test+aistpp", overrides=words)
    assert turns_of(config) == {
        "vggsound": [Turns("folder", {}), Turns("youtube", {"youtube.com": 2.0})],
        "aistpp": [Turns("http", {"aistdancedb.ongaaccel.jp": 0.25})],
    }


class SlowHost(Host):
    """Each video takes its turn at the host: so many seconds after the one before, its clips together."""

    def __init__(self, bench: FetchBench, gap_s: float, scripts: Mapping[str, Any] = {}) -> None:
        super().__init__(bench.time, scripts)
        self._gap_s, self._video = gap_s, ""

    def _answer(self, row: Mapping[str, Any]) -> Result:
        if row["video_id"] != self._video and not self.closed():
            self._time.sleep(self._gap_s)
        self._video = row["video_id"]
        return super()._answer(row)


def slow_bench(tmp_path: Path, *, videos: int, gap_s: float, scripts: Mapping[str, Any] = {}) -> FetchBench:
    bench = FetchBench(tmp_path, [clip(number) for number in range(2 * videos)])
    bench.host = SlowHost(bench, gap_s, scripts)
    bench.turns = {DATASET: [Turns("stand_in", {HOST: gap_s})]}
    return bench


def test_a_run_tells_the_time_that_its_host_takes_and_whose_rate_it_is(tmp_path: Path) -> None:
    bench = slow_bench(tmp_path, videos=20, gap_s=12.0)
    bench.run()
    told = [event for event in bench.events if event.left_s]
    assert told
    for event in told:
        turns_left = math.ceil((event.total - event.done) / 2)
        assert event.left_s == pytest.approx(12 * turns_left, rel=0.1)
    assert f"{HOST} gives 300 videos/h" in told[-1].note
    assert bench.events[-1].left_s == 0


def test_behind_a_wall_a_run_says_until_when_and_its_time_falls_second_by_second(tmp_path: Path) -> None:
    """The mean so far would say that ever more is left, the longer nothing comes."""
    bench = slow_bench(tmp_path, videos=20, gap_s=12.0)
    bench.host.wall_at = 21
    bench.run()
    closed = [event for event in bench.events if "closed until" in event.note]
    assert len(closed) >= 3600
    opens = bench.host.open_at
    assert all(f"{HOST} closed until {opens:%H:%M:%S}" in event.note for event in closed)
    assert all("gives" not in event.note for event in closed), "its rate is not what is waited for"
    waiting = [event for event in closed if f"next try at {opens:%H:%M:%S} UTC" in event.note]
    assert 3595 <= len(waiting) < len(closed), "the clip that met it is told before the next pass is waited for"
    left = [event.left_s or 0.0 for event in waiting]
    assert left[0] == pytest.approx(3600 + 10 * 12, rel=0.01), "ten videos are left"
    falls = [before - after for before, after in pairwise(left)]
    assert all(fall == pytest.approx(1.0) for fall in falls[:-1])
    rates = {event.note.split(", ")[4] for event in waiting}
    assert len(rates) == 1, "a wait is no part of the rate"
    assert bench.events[-1].left_s == 0


def test_a_next_try_that_this_run_waits_for_is_in_its_time_and_one_that_it_leaves_is_not(tmp_path: Path) -> None:
    scripts = {"clip-0": [FailureClass.BAD_MEDIA, FailureClass.BAD_MEDIA], "clip-2": [FailureClass.ACCESS]}
    bench = slow_bench(tmp_path, videos=2, gap_s=1.0, scripts=scripts)
    bench.run(patience_s=7200)
    [first] = {row["retry_at"] for row in bench.catalog.read("attempts").to_pylist() if row["error_class"] == "access"}
    assert first - NOON > timedelta(days=6)
    waits = [event for event in bench.events if "next try at" in event.note]
    assert max(event.left_s or 0.0 for event in waits) < 2 * 3600, "a week is another run's"
    hour = [event for event in waits if (event.left_s or 0.0) > 3000]
    assert len(hour) >= 599, "the second next try of the clip is an hour away, and nothing else is left to do"
    assert bench.events[-1].left_s == 0
    bench.run(patience_s=0, candidates=candidates_of([clip(2), clip(9)]))
    assert bench.events[-1].left_s == 0, "what an earlier run has left for a week is not this one's, either"
