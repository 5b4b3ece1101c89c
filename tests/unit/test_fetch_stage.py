"""The stage `fetch` as a run sees it: nothing without an index, real workers with one, and what it says at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from fetch_index import short_index
from index_files import landscape_csv, write_texts
from media_files import write
from standin_host import Reply, running, video

from tasks.context import RunContext
from tasks.fetch import TABLE, _require_enough, run_fetch, sweep
from tasks.fetch_driver import Time
from tasks.fetch_gate import client_of
from tasks.ingest import run_ingest
from tasks.ray_session import RaySession, ray_session
from tasks.stage import StageSummary
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.clock import utc_now
from uniform_core.errors import WorkFailedError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Failed
from uniform_core.fetching.sources import FolderSource, HttpSource
from uniform_core.files import try_lock
from uniform_core.progress import ProgressEvent
from uniform_core.settings import Settings

LINKED, SHARED, GONE = "-0abcdefghi", "bbbbbbbbbbb", "ccccccccccc"


class NoRay(RaySession):
    def start(self) -> None:
        raise AssertionError("Ray was started")


def context_of(home: Path, ray: RaySession, *, data: str | None = None, overrides: list[str] = []) -> RunContext:  # noqa: B006
    settings = Settings(home=home, cpus=2)
    events: list[ProgressEvent] = []
    config = build_run("nano", data=data, overrides=overrides)
    return RunContext(settings, config, Catalog.open(settings), ray, "run", events.append)


def test_data_without_an_index_has_nothing_to_fetch_and_pays_nothing_for_it(tmp_path: Path) -> None:
    context = context_of(tmp_path, NoRay(Settings(home=tmp_path)))
    assert run_fetch(context) == []
    assert not context.settings.fetching_dir.exists()
    look = "import sys, tasks.fetch; print([m for m in ('ray', 'yt_dlp', 'torch', 'prefect') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_says_where_an_official_list_is_not_as_it_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was cut short on its way would be a dataset cut short, and every later run would believe it."""
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path / "home"))
    official = Settings(home=tmp_path / "home").indexes_dir / "landscape"
    write_texts(official, {"landscape.csv": landscape_csv([(GONE, 0, "thunder", "train")])})
    words = [f"data.sources={json.dumps([{'kind': 'folder', 'path': str(tmp_path)}])}"]
    home = tmp_path / "home"
    [summary] = run_fetch(context_of(home, NoRay(Settings(home=home)), data="landscape:test", overrides=words))
    assert summary.candidates == 0
    assert summary.note == "\n".join(
        ["data: landscape.csv: 1,178 clips published, 1 found", "data: landscape.csv: 9 labels published, 1 found"]
    )
    given = [*words, f"data.index={official}"]
    [own] = run_fetch(context_of(home, NoRay(Settings(home=home)), data="landscape:test", overrides=given))
    assert own.note == "", "of a list of one's own nobody expects more"


def test_an_index_becomes_files_and_clips_and_what_is_lost_is_counted(tmp_path: Path, ray_running: RaySession) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with running() as host, ray_session(Settings(home=tmp_path)) as ray:
        host.put(f"/{SHARED}.mp4", Reply(video(6.0)))
        sources = [FolderSource(path=own), HttpSource(url=f"{host.url('')}/{{video_id}}.mp4")]
        clips = [(LINKED, 0, 2.5), (SHARED, 0, 2.5), (SHARED, 3, 5.5), (GONE, 0, 2.5)]
        index = short_index(tmp_path / "lists", clips, sources=sources, lines="no, line\n")
        linked = next(iter(index.items(build_run("nano").spec)))
        write(own / f"{linked.source_id}.mp4", duration_s=2.5)
        words = [
            f"data.index={index.index}",
            "data.sources=[" + ",".join(source.model_dump_json() for source in sources) + "]",
            "fetch.workers=2",
        ]
        context = context_of(tmp_path / "home", ray, data="audioset:eval", overrides=words)
        [summary] = run_fetch(context)
        assert (summary.candidates, summary.done, summary.failed, summary.waiting) == (5, 3, 2, 0)
        assert summary.by_error_class == {"bad_index_line": 1, "dead": 1}
        assert summary.rows == {"downloads": 3}
        [row] = summary.tables[TABLE]
        assert (row["split"], row["listed"], row["ok"], row["dead"], row["waiting"]) == ("eval", 5, 3, 1, 0)
        assert host.count() == {f"/{SHARED}.mp4": 1, f"/{GONE}.mp4": 1}, "a video is asked for once"
        again = run_fetch(replace(context, ray=NoRay(context.settings)))
        assert (again[0].done, again[0].already_done, again[0].tables) == (0, 3, summary.tables)
        [ingested] = run_ingest(context)
        videos = tmp_path / "videos"
        videos.mkdir()
        write(videos / "a.mp4", duration_s=2.5)
        members = [word.replace("data.", "data.members.audioset.", 1) for word in words]
        home, data = tmp_path / "home", f"audioset:eval+folder:{videos}"
        union = context_of(home, ray, data=data, overrides=members)
        [found] = run_fetch(replace(union, ray=NoRay(union.settings)))
        assert (found.candidates, found.done, found.already_done) == (5, 0, 3), (
            "what one dataset has is not fetched again"
        )
        [together] = run_ingest(union)
        assert (together.done, together.already_done) == (1, ingested.done), "nor decoded again"
        rows = {row["dataset"]: (row["sources"], row["ingested"]) for row in together.tables["sources by dataset"]}
        assert rows == {
            "audioset": (3, 3),
            union.config.data.parts[1].name: (1, 1),
            union.config.instrument.name: (ingested.done - 3, ingested.done - 3),
        }
        made = [row for row in context.catalog.read("clips").to_pylist() if row["dataset"] == "audioset"]
        assert {row["source_id"] for row in made} == set(context.catalog.read("downloads")["source_id"].to_pylist())
        write(own / f"{GONE}_0.mp4", duration_s=2.5)
        for later in (run_fetch(context)[0], run_fetch(replace(context, ray=NoRay(context.settings)))[0]):
            [row] = later.tables[TABLE]
            assert (row["ok"], row.get("dead", 0)) == (4, 0), "a copy has what its host calls dead"
        assert host.count() == {f"/{SHARED}.mp4": 1, f"/{GONE}.mp4": 1}
    assert ingested.tables == {}
    assert ingested.failed == 0, "what has no file is not ingest's failure"
    assert ray_running.is_running


def test_the_gate_is_one_for_all_and_outlives_its_process(tmp_path: Path, ray_running: RaySession) -> None:
    from tasks.fetch_gate import RemoteGate
    from uniform_core.fetching.hosts import HostRules

    gate = RemoteGate(HostRules(), tmp_path / "hosts.json")
    try:
        one, other = client_of(gate.handle), client_of(gate.handle)
        assert one.pass_through("media.example") is None
        one.tell("media.example", Failed(FailureClass.RATE_LIMIT, "slow down"))
        closed = other.pass_through("media.example")
        assert closed is not None
        assert gate.closed() == {"media.example": closed.until}
    finally:
        gate.end()
    after = RemoteGate(HostRules(), tmp_path / "hosts.json")
    try:
        assert after.closed() == {"media.example": closed.until}
    finally:
        after.end()


def test_what_killed_workers_left_goes_and_what_others_are_at_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (f"{ended.pid}-a", f"{os.getpid()}-b"):
        (tmp_path / name / "sources").mkdir(parents=True)
        (tmp_path / name / "sources" / "part").write_bytes(b"x")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{os.getpid()}-b"]
    sweep(tmp_path / "nothing")


def test_a_run_waits_for_another_that_fetches_for_its_root_and_asks_nobody_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two gates would ask a host twice as often as it allows. Ray is what it begins to work with, once it is alone."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running() as host, ExitStack() as other_run:
        sources = [HttpSource(url=f"{host.url('')}/{{video_id}}.mp4")]
        index = short_index(tmp_path / "lists", [(GONE, 0, 2.5)], sources=sources)
        words = [f"data.index={index.index}", f"data.sources=[{sources[0].model_dump_json()}]"]
        context = context_of(tmp_path / "home", NoRay(Settings(home=tmp_path)), data="audioset:eval", overrides=words)
        events: list[ProgressEvent] = []
        assert other_run.enter_context(try_lock(context.settings.fetching_dir / "lock"))
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                other_run.close()

        with pytest.raises(AssertionError, match="Ray was started"):
            run_fetch(replace(context, listener=events.append), time_of_run=Time(utc_now, sleep))
        assert slept == [1.0] * 3
        told = [event.note for event in events]
        assert told[:3] == ["waiting for another run that fetches for this root"] * 3
        assert told.count(told[0]) == 3
        assert host.count() == {}
        with try_lock(context.settings.fetching_dir / "lock") as is_free:
            assert is_free, "also after a failure"


def test_a_run_that_asks_no_host_waits_for_nobody(tmp_path: Path) -> None:
    own = FolderSource(path=tmp_path)
    index = short_index(tmp_path / "lists", [(GONE, 0, 2.5)], sources=[own])
    words = [f"data.index={index.index}", f"data.sources=[{own.model_dump_json()}]"]
    context = context_of(tmp_path / "home", NoRay(Settings(home=tmp_path)), data="audioset:eval", overrides=words)
    with try_lock(context.settings.fetching_dir / "lock") as is_held:
        assert is_held
        with pytest.raises(AssertionError, match="Ray was started"):
            run_fetch(context, time_of_run=Time(utc_now, _no_sleep))


def _no_sleep(_seconds: float) -> None:
    raise AssertionError("it waits")


def summary_of(candidates: int) -> StageSummary:
    return StageSummary("fetch", candidates, 0, 0, failed=0, waiting=0, wall_s=1.0, cpu_s=1.0)


@pytest.mark.parametrize(
    ("ok", "lost", "waiting", "limit", "words"),
    [
        (6, 4, 0, 0.4, None),
        (5, 5, 90, 0.5, None),
        (4, 6, 0, 0.5, "at most 50% of 10 clips of landscape lost; found 6 lost"),
        (0, 10, 0, 1.0, "at least one of 100 clips; found none"),
        (0, 0, 10, 1.0, "10 wait"),
    ],
)
def test_too_much_lost_is_a_failure_and_a_wait_is_no_loss(
    ok: int, lost: int, waiting: int, limit: float, words: str | None
) -> None:
    def require() -> None:
        listed = ok + lost + waiting + 90
        table = [
            {"dataset": "landscape", "listed": listed + 7, "ok": ok, "waiting": waiting, "absent": 90, "taken_down": 7}
        ]
        _require_enough(summary_of(listed), table, limits={"landscape": limit})

    if words is None:
        require()
        return
    with pytest.raises(WorkFailedError, match=words):
        require()


def test_each_dataset_is_held_to_its_own_limit() -> None:
    """A dataset of which nothing came does not hide behind a large one; one that only waits is no failure."""
    large = {"dataset": "vggsound", "split": "train", "listed": 1000, "ok": 900, "waiting": 0, "dead": 100}
    small = {"dataset": "aistpp", "split": "train", "listed": 10, "ok": 1, "waiting": 0, "dead": 9}
    waits = {"dataset": "landscape", "split": "test", "listed": 5, "ok": 0, "waiting": 5}
    _require_enough(summary_of(1005), [large, waits], limits={"vggsound": 0.5, "landscape": 0.5})
    limits = {"vggsound": 0.5, "aistpp": 0.5}
    with pytest.raises(WorkFailedError, match="at most 50% of 10 clips of aistpp lost; found 9 lost"):
        _require_enough(summary_of(1010), [large, small], limits=limits)
    _require_enough(summary_of(1010), [large, small], limits={**limits, "aistpp": 0.9})
    more = {**small, "split": "test", "ok": 10, "dead": 0}
    _require_enough(summary_of(1020), [large, small, more], limits=limits)
