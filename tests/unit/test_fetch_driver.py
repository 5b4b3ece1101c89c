"""The loop of the stage `fetch`: who is asked when, what the ledger says, what is waited for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from fetch_bench import DATASET, HOST, NOON, FetchBench, Host, bad_line, candidates_of, clip, download_row

from tasks.fetch_driver import Result
from tasks.fetch_results import Fetched, Nowhere
from uniform_core.catalog import Catalog
from uniform_core.catalog.fetch_cache import part_name
from uniform_core.corpus.fetching import attrition, fetch_key, missing, recheck_at, states, without_buried_videos
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Addresses, Failed
from uniform_core.types import SourceItem

CLIPS = [clip(number) for number in range(6)]


@pytest.fixture
def bench(tmp_path: Path) -> FetchBench:
    return FetchBench(tmp_path, CLIPS)


def test_every_clip_is_asked_for_once_those_of_a_video_together_and_a_second_run_asks_for_none(
    bench: FetchBench,
) -> None:
    books = bench.run()
    assert bench.host.batches == [["clip-0", "clip-1"], ["clip-2", "clip-3"], ["clip-4", "clip-5"]]
    assert bench.downloaded() == [f"clip-{n}" for n in range(6)]
    assert (len(books.fetched), books.bytes, books.pool.batches, books.rows) == (6, 600, 3, {"downloads": 6})
    assert bench.time.slept_s == 0
    assert (bench.events[-1].done, bench.events[-1].total, bench.events[-1].failed) == (6, 6, 0)
    assert "6 ok, 0 dead, 0 blocked, 0 waiting" in bench.events[-1].note
    assert bench.run().fetched == set()
    assert len(bench.host.requests) == 6


def test_what_is_final_is_asked_for_once(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-1": [FailureClass.DEAD], "clip-2": [FailureClass.RANGE]})
    books = bench.run()
    assert (sorted(books.failed.values()), books.waiting_until, bench.time.slept_s) == (["dead", "range"], None, 0)
    assert bench.events[-1].failed == 2
    bench.run()
    assert len(bench.host.requests) == 6
    assert bench.ledger() == [(f"{DATASET}/clip-1", "dead"), (f"{DATASET}/clip-2", "range")]


def test_what_a_source_calls_final_is_asked_for_once_whatever_its_class(bench: FetchBench) -> None:
    """A damaged copy that lies on this disk: nobody waits for it to mend, but a person may ask again."""
    bench.host = Host(bench.time, {"clip-1": [Failed(FailureClass.BAD_MEDIA, "damaged", is_final=True)] * 2})
    books = bench.run()
    assert (books.failed, books.waiting_until, bench.time.slept_s) == (
        {fetch_key(CLIPS[1]): "bad_media"},
        None,
        0,
    )
    bench.run()
    assert bench.host.requests.count("clip-1") == 1
    bench.time.sleep(1)
    assert bench.catalog.request_retry(run_id="p", where="error_class = 'bad_media'", clock=bench.time.now) == 1
    bench.time.sleep(1)
    bench.run()
    assert bench.host.requests.count("clip-1") == 2


def test_what_may_come_right_is_waited_for_and_its_tries_are_counted(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-1": [FailureClass.TRANSIENT] * 3})
    books = bench.run()
    assert bench.downloaded() == [f"clip-{n}" for n in range(6)]
    assert books.failed == {}
    assert bench.catalog.failed_items() == bench.catalog.named_rows("failures") == [], "it stands as failed no more"
    assert bench.catalog.named_rows("failures_by_class") == []
    assert bench.host.requests.count("clip-1") == 4
    assert 30 + 60 + 120 <= bench.time.slept_s <= 1.5 * (30 + 60 + 120) + 3, "each wait is twice the last, and some"


def test_in_a_long_run_a_next_try_is_made_when_it_is_due_and_not_at_the_end(tmp_path: Path) -> None:
    """A pass of twenty minutes, and the clip that is due first in the next; a host's answer takes a minute."""
    bench = FetchBench(tmp_path, alone(100))
    bench.host = Host(bench.time, {"clip-1": [FailureClass.TRANSIENT] * 2})
    bench.host.takes_s = 60.0
    bench.run()
    asked = bench.host.requests
    assert [number for number, name in enumerate(asked) if name == "clip-1"] == [1, 20, 40]
    assert (len(asked), len(bench.downloaded())) == (102, 100)
    assert bench.time.slept_s == 0, "there was always something to do"


def test_a_pass_that_meets_closed_hosts_alone_is_gone_through_once_and_they_are_waited_for(tmp_path: Path) -> None:
    """Not handed out again every twenty minutes, for as long as they are closed."""
    bench = FetchBench(tmp_path, alone(80))
    bench.host.takes_s = 25.0
    bench.host.open_at = NOON + timedelta(hours=2)
    bench.run()
    assert len(bench.host.batches) == 2 * 80
    assert len(bench.downloaded()) == 80


def test_a_video_that_is_taken_down_while_the_run_lasts_is_not_asked_for(tmp_path: Path) -> None:
    bench = FetchBench(tmp_path, [*alone(60), clip(60, video="video-59")])
    bench.host.takes_s = 60.0

    def bury(number: int) -> None:
        if number == 10:
            bench.catalog.bury_videos(["video-59"], reason="asked", run_id="r", clock=bench.time.now)

    bench.host.at_request = bury
    books = bench.run()
    assert bench.host.requests == [f"clip-{n}" for n in range(59)]
    assert (len(books.fetched), books.waiting_until) == (59, None)


def test_tries_are_counted_over_runs_until_the_last(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-1": [FailureClass.BAD_MEDIA] * 9})
    for _ in range(4):
        bench.run(patience_s=0)
        bench.time.sleep(2 * 3600)
    assert bench.host.requests.count("clip-1") == 3, "two more tries, then none"
    [last] = bench.catalog.named_rows("failures")
    assert (last["is_terminal"], last["tries"], last["retry_at"]) == (True, 3, None)


def test_what_came_of_a_video_goes_when_nobody_goes_on_with_it(bench: FetchBench) -> None:
    """A film of an expired address stays half in the cache while there are tries left, and goes with the last."""
    bench.host = Host(bench.time, {"clip-1": [FailureClass.EXPIRED_URL] * 9})
    cache = bench.catalog.media_dir / "fetching" / "cache" / "http"
    cache.mkdir(parents=True)
    ours, other = (cache / f"{part_name(video, 'x')}.part" for video in ("video-0", "video-1"))
    for part in (ours, ours.with_suffix(".part.etag"), other):
        part.write_bytes(b"half")
    bench.run(patience_s=0)
    assert (bench.catalog.named_rows("failures")[0]["is_terminal"], ours.exists()) == (False, True)
    for _ in range(3):
        bench.time.sleep(2 * 86400)
        bench.run(patience_s=0)
    assert bench.catalog.named_rows("failures")[0]["is_terminal"]
    assert list(cache.iterdir()) == [other]


def test_a_request_of_a_person_begins_the_count_again_and_only_of_what_was_asked(bench: FetchBench) -> None:
    gone = {"clip-1": [FailureClass.BAD_MEDIA] * 4, "clip-2": [FailureClass.GEO] * 4}
    bench.host = Host(bench.time, gone)
    bench.run()
    assert bench.host.requests.count("clip-1") == 3
    before = len(bench.host.requests)
    bench.time.sleep(1)
    assert bench.catalog.request_retry(run_id="p", where="error_class = 'bad_media'", clock=bench.time.now) == 1
    bench.time.sleep(1)
    bench.run()
    assert bench.host.requests[before:] == ["clip-1", "clip-1"], "it failed once more, was waited for, and came"
    assert "clip-1" in bench.downloaded()


def test_a_wall_stops_everybody_and_is_nobodys_failure(bench: FetchBench) -> None:
    bench.host.wall_at = 3
    books = bench.run()
    assert len(bench.host.requests) == 7, "the clip that met it is asked for again, the others were not asked for"
    assert bench.downloaded() == [f"clip-{n}" for n in range(6)]
    assert bench.ledger() == []
    assert books.failed == {}
    assert 3600 <= bench.time.slept_s < 3602
    told = [event.note for event in bench.events if "closed until 13:00:00" in event.note]
    assert len(told) >= 3600, "it says every second why it waits"
    assert "2 ok, 0 dead, 2 blocked" in told[0], "it is told at once, not when the pass is over"
    assert "2 ok, 0 dead, 4 blocked" in told[-1]


def test_what_would_take_longer_than_the_patience_is_left_for_another_run(bench: FetchBench) -> None:
    bench.host.wall_at = 3
    books = bench.run(patience_s=3599)
    assert books.waiting_until == NOON + timedelta(hours=1)
    assert books.closed == {HOST: NOON + timedelta(hours=1)}
    assert (bench.time.slept_s, bench.ledger(), bench.downloaded()) == (0, [], ["clip-0", "clip-1"])
    bench.time.sleep(3600)
    bench.run()
    assert bench.downloaded() == [f"clip-{n}" for n in range(6)]


def test_a_wall_that_the_last_clip_meets_is_waited_for_too(bench: FetchBench) -> None:
    bench.host.wall_at = 6
    bench.run()
    assert len(bench.downloaded()) == 6
    assert bench.time.slept_s >= 3600


def test_a_source_that_cannot_work_stops_the_run_and_what_came_before_stays(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-3": [Failed(FailureClass.CONFIG, "no JS runtime: pip install deno")]})
    with pytest.raises(ConfigError, match=r"clips/clip-3.*pip install deno.*no clip is blamed"):
        bench.run()
    assert bench.downloaded() == ["clip-0", "clip-1", "clip-2"]
    assert bench.ledger() == []
    assert len(bench.run().fetched) == 3


def test_a_video_without_a_format_is_tried_again_and_then_given_up_and_stops_nobody(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-3": [FailureClass.NO_FORMAT] * 9})
    books = bench.run()
    assert bench.downloaded() == ["clip-0", "clip-1", "clip-2", "clip-4", "clip-5"]
    assert bench.ledger() == [(f"{DATASET}/clip-3", "no_format")] * 3
    assert len(books.final) == 1


def test_one_video_after_the_other_without_a_format_stops_the_run(tmp_path: Path) -> None:
    """They have two clips each. A file of a copy between them says nothing of YouTube, one of YouTube does."""
    videos = [[clip(2 * n), clip(2 * n + 1)] for n in range(30)]
    bench = FetchBench(tmp_path, [one for video in videos for one in video])
    scripts: dict[str, list[Result | FailureClass]] = {
        one.source_id: [FailureClass.NO_FORMAT] for video in videos for one in video
    }
    rows = {row["source_id"]: row for row in bench.candidates.to_pylist()}
    came = {one: [Fetched(download_row(rows[one], source="youtube"), 100)] for one in ("clip-10", "clip-11")}
    bench.host = Host(bench.time, scripts | came | {"clip-20": []})
    with pytest.raises(ConfigError, match=r"one of 20 videos in a row; found none.*pip install -U 'yt-dlp"):
        bench.run()
    assert bench.host.requests[-1] == "clip-51", "it is of the twentieth video after one that came"
    assert len(bench.ledger()) == 52 - 3 - 1, "what has failed until then is in the ledger"
    bench.time.sleep(120)
    assert len(bench.run().fetched) == 60 - 3, "each waits for its next try, and comes"


AT = Addresses("http://mirror.example/clips/{video_id}.mp4", most_missing=5)
NOTHING = Failed(FailureClass.DEAD, "a file expected, 404 Not Found found", http_status=404, nothing_at=AT)


def alone(count: int) -> list[SourceItem]:
    """Clips of a video each."""
    return [clip(n, video=f"video-{n}") for n in range(count)]


def test_an_address_at_which_nothing_ever_was_stops_the_run_and_no_clip_is_dead_of_it(tmp_path: Path) -> None:
    bench = FetchBench(tmp_path, alone(8))
    bench.host = Host(bench.time, {f"clip-{n}": [NOTHING] for n in range(8)})
    with pytest.raises(
        ConfigError, match=r"mirror\.example/clips/\{video_id\}.*one of 5 videos in a row.*404 Not Found"
    ):
        bench.run()
    assert (len(bench.host.requests), bench.ledger()) == (5, [])
    bench.host = Host(bench.time)
    assert len(bench.run().fetched) == 8, "by the right address"


@pytest.mark.parametrize("when", ["before", "between", "in another run"])
def test_where_a_file_came_from_what_is_not_there_is_gone(tmp_path: Path, when: str) -> None:
    bench = FetchBench(tmp_path, alone(9))
    rows = bench.candidates.to_pylist()
    number = {"before": 0, "between": 3, "in another run": 0}[when]
    found = download_row(rows[number], source="http", origin="http://mirror.example/clips/video-0.mp4")
    came = {f"clip-{number}": [Fetched(found, 1)]}
    bench.host = Host(bench.time, {f"clip-{n}": [NOTHING] for n in range(9)} | came)
    if when == "in another run":
        bench.run(candidates=bench.candidates.slice(0, 1))
    books = bench.run()
    assert sorted(set(books.failed.values())) == ["dead"]
    assert (len(books.final), len(bench.ledger())) == (8, 8)


def test_too_few_to_say_anything_of_the_address_are_gone(bench: FetchBench) -> None:
    """Also where other sources bring what they have: their files do not speak for this address."""
    bench.host = Host(bench.time, {f"clip-{n}": [NOTHING] for n in range(4)})
    books = bench.run()
    assert bench.ledger() == [(f"{DATASET}/clip-{n}", "dead") for n in range(4)], "of two videos"
    assert (len(books.final), len(books.fetched)) == (4, 2)


def test_a_worker_that_was_lost_to_a_clip_is_a_failure_that_passes(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-0": [Rejection("crash", "its worker died")]})
    bench.run()
    assert bench.ledger() == [(f"{DATASET}/clip-0", "transient")]
    assert "crash: its worker died" in bench.catalog.read("attempts")["message"][0].as_py()
    assert len(bench.downloaded()) == 6


def test_what_no_source_has_is_asked_for_once_a_run_and_said_once(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-0": [Nowhere("none found in folder")] * 3})
    for _ in range(3):
        books = bench.run()
        assert (books.waiting_until, books.absent) == (None, {fetch_key(CLIPS[0])})
    assert bench.ledger() == [(f"{DATASET}/clip-0", "absent")]
    assert bench.host.requests.count("clip-0") == 3
    assert bench.time.slept_s == 0
    found = states(bench.catalog, bench.candidates)
    assert [(row["absent"], row["waiting"]) for row in attrition(found)] == [(1, 0)]
    assert [(row["error_class"], row["is_final"]) for row in missing(found)] == [("absent", False)]
    bench.run()
    assert "clip-0" in bench.downloaded(), "it was put there"


def test_what_is_lost_or_waits_is_looked_for_in_copies_and_no_host_is_asked(bench: FetchBench) -> None:
    gone: dict[str, list[Result | FailureClass]] = {"clip-1": [FailureClass.DEAD], "clip-2": [FailureClass.GEO]}
    bench.host = Host(bench.time, gone | {"clip-4": [FailureClass.ACCESS], "clip-5": [FailureClass.ACCESS]})
    listed = candidates_of([*CLIPS, bad_line(3)])
    bench.run(candidates=listed)
    ledger, asked = bench.ledger(), list(bench.host.requests)
    bench.host.copies = {"clip-1", "clip-4"}
    bench.run(candidates=listed, copies=["another"])
    assert bench.host.looked_for == []
    bench.events.clear()
    books = bench.run(candidates=listed, copies=[DATASET])
    assert bench.host.looked_for == ["clip-1", "clip-2", "clip-4", "clip-5"], "not what has a file, nor a bad line"
    assert bench.host.requests == asked
    assert bench.downloaded() == ["clip-0", "clip-1", "clip-3", "clip-4"]
    assert (len(books.fetched), books.rows, books.failed) == (2, {"downloads": 2}, {})
    assert bench.ledger() == ledger, "what no copy has stays what it was, and its tries are no more"
    assert all(event.done <= event.total for event in bench.events)
    new = candidates_of([clip(8)])
    bench.run(candidates=new, copies=[DATASET])
    assert "clip-8" not in bench.host.looked_for, "what is due is asked of all sources anyway"


def test_a_bad_line_is_in_the_ledger_and_nobody_is_asked(bench: FetchBench) -> None:
    candidates = candidates_of([clip(0), bad_line(7)])
    for _ in range(2):
        bench.run(candidates=candidates)
    assert bench.host.requests == ["clip-0"]
    assert bench.ledger() == [(f"{DATASET}/list.csv:7", "bad_index_line")]
    assert bench.catalog.read("attempts")["is_terminal"].to_pylist() == [True]


def test_of_a_kill_between_commits_nothing_is_lost_but_what_was_not_committed(bench: FetchBench) -> None:
    """Here the interrupt comes as an exception; the kill of a process is in the tests of faults."""
    bench.host = Host(bench.time)
    answer = bench.host._answer

    def interrupted(row):  # type: ignore[no-untyped-def]
        if row["source_id"] == "clip-4":
            raise KeyboardInterrupt
        return answer(row)

    bench.host._answer = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert bench.downloaded() == [f"clip-{n}" for n in range(4)]
    bench.host._answer = answer  # type: ignore[method-assign]
    bench.run()
    assert sorted(bench.host.requests) == [f"clip-{n}" for n in range(6)]


def test_attrition_counts_every_listed_clip_once(bench: FetchBench) -> None:
    listed = [*CLIPS, clip(6, split="test"), clip(7, split="test"), bad_line(3)]
    gone = {"clip-1": [FailureClass.DEAD], "clip-2": [FailureClass.ACCESS], "clip-6": [FailureClass.PRIVATE]}
    bench.host = Host(bench.time, gone)
    candidates = candidates_of(listed)
    bench.run(candidates=candidates)
    found = states(bench.catalog, candidates)
    empty = {"bad_index_line": 0, "dead": 0, "private": 0}
    assert attrition(found) == [
        {
            "dataset": DATASET,
            "split": "test",
            "listed": 2,
            "ok": 1,
            **empty,
            "private": 1,
            "waiting": 0,
            "percent_ok": 50.0,
        },
        {"dataset": DATASET, "split": "train", "listed": 7, "ok": 4}
        | {**empty, "bad_index_line": 1, "dead": 1, "waiting": 1, "percent_ok": 57.1},
    ]
    lost = {row["source_id"]: (row["error_class"], row["is_final"], row["tries"]) for row in missing(found)}
    assert lost == {
        "clip-1": ("dead", True, 1),
        "clip-2": ("access", False, 1),
        "clip-6": ("private", True, 1),
        "list.csv:3": ("bad_index_line", True, 1),
    }
    assert missing(states(bench.catalog, candidates_of([clip(9)])))[0]["error_class"] == "not_tried"


def test_what_is_gone_is_not_due_for_another_look_until_some_months_later(bench: FetchBench) -> None:
    bench.host = Host(bench.time, {"clip-1": [FailureClass.DEAD], "clip-2": [FailureClass.GEO]})
    bench.run()
    dead, geo = sorted(bench.catalog.failed_items(stage="fetch"), key=lambda row: row["error_class"])
    assert recheck_at(dead) == dead["created_at"] + timedelta(days=90)
    for at_any_time in (geo, dead | {"stage": "ingest"}, dead | {"error_class": "absent"}):
        assert recheck_at(at_any_time) is None


def test_a_video_that_was_taken_down_is_not_fetched_nor_counted_as_lost(bench: FetchBench) -> None:
    bench.run(candidates=candidates_of(CLIPS[:2]))
    burial = bench.catalog.bury_videos(["video-0"], reason="asked", run_id="r")
    assert burial.sources == 2
    assert bench.downloaded() == []
    unseen = candidates_of([clip(20, video="video-0"), *CLIPS])
    left = without_buried_videos(bench.catalog, unseen)
    assert left["source_id"].to_pylist() == ["clip-2", "clip-3", "clip-4", "clip-5"]
    assert [row["taken_down"] for row in attrition(states(bench.catalog, unseen))] == [3]


def test_a_takedown_of_a_video_follows_it_into_every_dataset_or_into_one(tmp_path: Path) -> None:
    catalog: Catalog = FetchBench(tmp_path, CLIPS).catalog
    stamp = {"stage_fp": "0" * 32, "run_id": "r", "created_at": NOON}
    rows = [
        {
            "work_key": f"{n:032d}",
            **download_row({"dataset": dataset, "source_id": f"{video}_{n}", "video_id": video}),
            **stamp,
        }
        for n, (dataset, video) in enumerate([("a", "x"), ("b", "x"), ("a", "y"), ("b", "y")])
    ]
    catalog.insert("downloads", rows)
    for row in rows:
        path = catalog.media_dir / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 100)
    with pytest.raises(ConfigError, match="1 others: 'http://host/z'"):
        catalog.bury_videos(["x", "http://host/z"], reason="asked", run_id="r")
    assert catalog.read("tombstones").num_rows == 0
    assert catalog.unseen_videos(["x", "z"]) == ["z"]
    assert catalog.unseen_videos(["x"], dataset="c") == ["x"]
    assert catalog.bury_videos(["x", "z"], reason="asked", run_id="r").sources == 2
    catalog.bury_videos(["y"], dataset="b", reason="asked", run_id="r")
    assert catalog.read("downloads")["source_id"].to_pylist() == ["y_2"]
    assert sorted(path.name for path in catalog.media_dir.rglob("*.mp4")) == ["y_2.mp4"]
    late = {**rows[0], "work_key": "f" * 32, "source_id": "x_9", "path": "sources/a/x_9.mp4"}
    catalog.insert("downloads", [late])  # of a writer that was at work meanwhile
    (catalog.media_dir / late["path"]).write_bytes(b"x" * 100)
    purged = catalog.purge()
    assert (purged.sources, purged.media_files) == (1, 1)
    assert catalog.read("downloads")["source_id"].to_pylist() == ["y_2"]
