"""Fetching from a host that fails in every way, by drivers that are killed: nothing is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import environment_of, processes_of, said, short_home
from fetch_index import short_index
from index_files import made_up_ids
from standin_host import PAGE, Asked, Reply, StandinHost, expired_after, video

from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.fetching import fetch_candidates, states
from uniform_core.corpus.inputs import list_items
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.sources import HttpSource
from uniform_core.fingerprint import file_sha256
from uniform_core.settings import Settings

SCRIPT = Path(__file__).parents[1] / "fetch_driver_process.py"
PATIENCE_S = 1800.0  # only ends what hangs: a busy machine may take ten times as long
WORKERS = 8
PAUSE_S = 8.0  # for which a host that built a wall is left alone
STOPPED_WITHIN_S = 2.0
SPANS = ((0.0, 1.0), (1.5, 2.5))
DAYS = 24 * 3600.0
SPEED = 7 * DAYS / 50  # of the driver's clock while it waits: a week in fifty looks


def wrong_length(data: bytes) -> list[Reply]:
    return [Reply(data, length=len(data) + 5000), Reply(data)]


# How a video may fail, and whether its clips come all the same. Each reply is of one request, the last one stays.
FAILURES: dict[str, tuple[Callable[[bytes], list[Reply]], FailureClass | None]] = {
    "removed": (lambda _: [Reply(status=404)], FailureClass.DEAD),
    "gone": (lambda _: [Reply(status=410)], FailureClass.DEAD),
    "denied": (lambda _: [Reply(status=401)], FailureClass.DENIED),
    "forbidden": (lambda _: [Reply(status=403)], FailureClass.DENIED),
    "too large": (lambda _: [Reply(b"", length=100 << 30)], FailureClass.TOO_LARGE),
    "a page": (lambda _: [Reply(PAGE, kind="text/html")], FailureClass.BAD_MEDIA),
    "no media": (lambda _: [Reply(b"\0" * 4000)], FailureClass.BAD_MEDIA),
    "too short": (lambda _: [Reply(video(0.5))], FailureClass.BAD_MEDIA),
    "always busy": (lambda _: [Reply(status=503)], FailureClass.TRANSIENT),
    "busy once": (lambda data: [Reply(status=503), Reply(data)], None),
    "cut once": (lambda data: [Reply(data, cut_after=2000), Reply(data)], None),
    "expires once": (lambda data: [*expired_after(data, sent=2000), Reply(data)], None),
    "another length": (wrong_length, None),
    "slow": (lambda data: [Reply(data, piece=4000, pause_s=0.05)], None),
    "a page at first": (lambda data: [Reply(PAGE, kind="text/html"), Reply(data)], None),
}


class WalledHost(StandinHost):
    """A host that answers nobody for a while from its n-th request on."""

    def __init__(self, wall_at: int) -> None:
        super().__init__()
        self.wall_at, self.wall_s = wall_at, 0.0
        self.refused: list[float] = []  # when

    def next_reply(self, asked: Asked) -> Reply:
        with self.lock:
            if len(self.asked) + len(self.refused) + 1 >= self.wall_at and not self.wall_s:
                self.wall_s = asked.at_s
            if self.wall_s and asked.at_s < self.wall_s + 0.75 * PAUSE_S:
                self.refused.append(asked.at_s)
                return Reply(status=429)
        return super().next_reply(asked)


@dataclass
class Fleet:
    """An index of clips, a host that has them or fails, and drivers that are started on them."""

    home: Path
    host: WalledHost
    clips: list[tuple[str, float, float]]
    lost: dict[str, FailureClass]  # by video
    log: Path
    overrides: list[str] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(SCRIPT), str(self.home), str(SPEED), "audioset:eval", *self.overrides]
        path = os.pathsep.join([str(SCRIPT.parents[1]), str(SCRIPT.parent)])
        with self.log.open("ab") as file:
            return subprocess.Popen(
                words,
                env=environment_of(self.home) | {"PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )

    def finish(self) -> dict[str, Any]:
        """What a driver says that runs to its end."""
        driver = self.start()
        out, _ = driver.communicate(timeout=PATIENCE_S)
        assert driver.returncode == 0, self.log.read_text(errors="replace")[-4000:]
        [summary] = json.loads(out)
        return dict(summary)

    def files(self) -> list[Path]:
        return sorted((self.home / "media" / "sources" / "audioset").glob("*"))

    def states(self) -> list[dict[str, Any]]:
        config = build_run("nano", data="audioset:eval", overrides=self.overrides)
        found = states(self.catalog, fetch_candidates(config, list_items(config)))
        return [dict(row) for row in found.to_pylist()]

    @property
    def catalog(self) -> Catalog:
        return Catalog.open(Settings(home=self.home))


def fleet_of(home: Path, host: WalledHost, *, clips: int, videos: int, log: Path, seed: int) -> Fleet:
    """So many clips of so many videos, of which a fifth fails in some way."""
    rng = random.Random(seed)
    ids = made_up_ids(videos, seed=seed)
    data = video(3.0)
    twice = set(rng.sample(ids, clips - videos))
    lost: dict[str, FailureClass] = {}
    kinds = list(FAILURES)
    for number, failing in enumerate(rng.sample(ids, videos // 5)):
        script, failure = FAILURES[kinds[number % len(kinds)]]
        host.put(f"/{failing}.mp4", *script(data))
        if failure is not None:
            lost[failing] = failure
    for one in ids:
        if f"/{one}.mp4" not in host.replies:
            host.put(f"/{one}.mp4", Reply(data))
    wanted = [(one, *SPANS[0]) for one in ids] + [(one, *SPANS[1]) for one in twice]
    rng.shuffle(wanted)
    source = HttpSource(url=f"http://127.0.0.1:{host.server_port}/{{video_id}}.mp4", tries=2)
    index = short_index(home.parent / "lists", wanted, sources=[source], lines="not, a, line\n")
    hosts = {"other_rate": {"per_s": 500.0, "burst": 50}, "rate_limit_pause_s": PAUSE_S, "most_pause_s": PAUSE_S}
    words = [
        f"data.index={index.index}",
        f"data.sources=[{source.model_dump_json()}]",
        f"fetch.workers={WORKERS}",
        f"fetch.patience_s={100 * DAYS}",
        f"fetch.hosts={json.dumps(hosts)}",
    ]
    return Fleet(home, host, wanted, lost, log, words)


def kill(driver: subprocess.Popen[bytes], home: Path) -> None:
    """The driver is gone from one moment to the next, and all that it had started follows."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    deadline = time.monotonic() + PATIENCE_S
    while (alive := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert alive == [], "something outlived the driver"


def killed_when(fleet: Fleet, condition: Callable[[], bool]) -> None:
    """Start a driver, and kill it at the moment of the condition."""
    driver = fleet.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert driver.poll() is None, f"the driver ended: {fleet.log.read_text(errors='replace')[-4000:]}"
            assert time.monotonic() < deadline, fleet.log.read_text(errors="replace")[-4000:]
            time.sleep(0.01)
    finally:
        kill(driver, fleet.home)


def assert_whole(fleet: Fleet) -> None:
    """Every file has its row and its sha256, and nothing else lies there."""
    rows = {row["path"]: row for row in fleet.catalog.read("downloads").to_pylist()}
    assert {path.relative_to(fleet.home / "media").as_posix() for path in fleet.files()} == set(rows)
    assert all(file_sha256(fleet.home / "media" / path) == row["source_sha256"] for path, row in rows.items())
    left = [path for path in (fleet.home / "media" / "fetching").rglob("*") if path.is_file()]
    assert not [path for path in left if "scratch" in path.parts], "nothing temporary is left"


def assert_never_after_success(fleet: Fleet) -> None:
    """No video is asked for once every clip of it lies at its place."""
    to_monotonic = time.monotonic() - time.time()
    done: dict[str, float] = {}
    for row in fleet.catalog.read("downloads").to_pylist():
        placed_s = (fleet.home / "media" / row["path"]).stat().st_ctime + to_monotonic
        done[row["video_id"]] = max(placed_s, done.get(row["video_id"], 0.0))
    late = [
        asked.path
        for asked in fleet.host.asked
        if asked.at_s > done.get(asked.path.strip("/").removesuffix(".mp4"), float("inf")) + 0.1
    ]
    assert late == []


@contextlib.contextmanager
def walled(wall_at: int) -> Iterator[WalledHost]:
    host = WalledHost(wall_at)
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()
        thread.join()


@pytest.mark.timeout(6 * PATIENCE_S)
@pytest.mark.parametrize(
    ("clips", "videos"), [(300, 255), pytest.param(2000, 1700, marks=pytest.mark.long)], ids=["300", "2000"]
)
def test_three_kills_a_wall_and_every_failure(
    clips: int, videos: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = short_home("fetch")
    with walled(wall_at=clips // 2) as host:
        fleet = fleet_of(home, host, clips=clips, videos=videos, log=tmp_path / "log", seed=20261127)
        for share in (0.1, 0.3, 0.6):
            killed_when(fleet, lambda share=share: len(fleet.files()) >= share * clips)  # type: ignore[misc]
        summary = fleet.finish()
        found = fleet.states()

        # every clip is ok, or lost by the class that its video failed with; the line that is none is in the ledger
        expected = {clip: str(fleet.lost[clip[0]]) if clip[0] in fleet.lost else "ok" for clip in fleet.clips}
        by_video = {(row["video_id"], row["state"]) for row in found if row["video_id"] is not None}
        assert by_video == {(clip[0], state) for clip, state in expected.items()}
        assert len(found) == clips + 1
        assert [row["state"] for row in found if row["video_id"] is None] == ["bad_index_line"]
        assert summary["candidates"] == clips + 1
        assert_whole(fleet)
        assert_never_after_success(fleet)

        # the wall stopped all workers, and is nobody's failure
        assert host.refused, "the wall was never met"
        assert max(host.refused) <= host.wall_s + STOPPED_WITHIN_S
        after = [
            asked.at_s
            for asked in host.asked
            if host.wall_s + STOPPED_WITHIN_S < asked.at_s < host.wall_s + 0.75 * PAUSE_S
        ]
        assert after == []
        classes = set(fleet.catalog.read("attempts")["error_class"].to_pylist())
        assert classes.isdisjoint({"rate_limit", "botwall"})

        # a second run asks for nothing; a person's request asks for those clips alone
        before = len(host.asked)
        again = fleet.finish()
        assert (again["done"], again["failed"], len(host.asked)) == (0, 0, before)
        monkeypatch.setenv("UNIFORM_HOME", str(home))
        code, words = said(
            ["failures", "retry", "--stage", "fetch", "--where", "error_class IN ('bad_media', 'dead')", "--json"],
            capsys,
        )
        bad = [row for row in found if row["state"] == "bad_media"]
        dead = [row for row in found if row["state"] == "dead"]
        said_of = json.loads(words)
        assert (code, said_of["requested"], said_of["not_due"]) == (0, len(bad), len(dead))
        wait = datetime.fromisoformat(said_of["next_due"]) - datetime.now(UTC)
        assert timedelta(days=89) < wait < timedelta(days=91), "the first of the dead videos is looked at again then"
        fleet.finish()
        asked_for = {asked.path.strip("/").removesuffix(".mp4") for asked in host.asked[before:]}
        assert asked_for == {row["video_id"] for row in bad}
    shutil.rmtree(home.parent)
