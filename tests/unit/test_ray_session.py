"""A Ray session leaves nothing behind: no process, no folder, no changed environment; Ctrl-C drains its pool."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from pool_worker import PoolWorker

from tasks.pool import run_pool
from tasks.ray_session import STARTS, RaySession, _left_after, _sweep, environment, ray_session
from uniform_core.errors import ServiceError
from uniform_core.settings import Settings


def driver(log_dir: Path) -> None:
    """A whole driver: two hundred slow items, until Ctrl-C; then it says what it has, and what it left."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
    before = dict(os.environ)
    me, delivered, interrupted = psutil.Process(), [], False
    family: list[psutil.Process] = []
    with ray_session(Settings(home=log_dir, cpus=2)) as session:
        items = [[{"n": n, "do": "sleep", "seconds": 0.3}] for n in range(200)]
        assert not session.is_running
        session.start()
        family = me.children(recursive=True)

        def take(_items: object, results: object) -> None:
            delivered.append(results)
            print("delivered", flush=True)

        try:
            run_pool(PoolWorker, items, size=1, setup={"log_dir": str(log_dir)}, on_result=take)
        except KeyboardInterrupt:
            interrupted = True
    mine = Path(tempfile.gettempdir()).glob(f"uf-{os.getpid()}-*")
    print(
        json.dumps(
            {
                "delivered": len(delivered),
                "interrupted": interrupted,
                "daemons": len(family),
                "left": [process.pid for process in [*family, *me.children(recursive=True)] if process.is_running()],
                "folders": [str(path) for path in mine],
                "changed": sorted({**before, **os.environ}.items() - before.items()),
            }
        )
    )


def test_after_ctrl_c_what_was_in_flight_is_delivered_and_nothing_is_left(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    code = "import sys; sys.path[:0] = sys.argv[2:]; import test_ray_session as t; t.driver(t.Path(sys.argv[1]))"
    words = [sys.executable, "-c", code, str(tmp_path), str(tests), str(tests / "unit")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    for _ in range(3):
        assert process.stdout.readline() == "delivered\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    report = json.loads(process.communicate(timeout=120)[0].splitlines()[-1])
    assert process.returncode == 0
    handed_out = sum(log.read_text().count("batch") for log in tmp_path.glob("*.log"))
    assert report["interrupted"]
    assert 3 <= report["delivered"] <= handed_out < 200
    assert handed_out - report["delivered"] <= 1, "at most the batch that was being handed out at that very moment"
    assert report["daemons"] >= 4
    assert (report["left"], report["folders"], report["changed"]) == ([], [], [])


def test_folders_of_killed_drivers_are_swept_and_no_others(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f"uf-{gone.pid}-abc", f"uf-{os.getpid()}-def", "uf-notes", "other"]
    for name in names:
        (tmp_path / name).mkdir()
    _sweep(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_an_environment_is_put_back() -> None:
    name = "UF_TEST_ENVIRONMENT"
    with environment({name: "1"}):
        with environment({name: "2"}):
            assert os.environ[name] == "2"
        assert os.environ[name] == "1"
    assert name not in os.environ


def test_a_session_inside_a_session_neither_starts_nor_stops_ray(
    tmp_path: Path, ray_running: RaySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.init", lambda **_words: pytest.fail("a second Ray"))
    with ray_session(Settings(home=tmp_path)) as inner:
        inner.start()
        assert inner.is_running
    assert ray_running.is_running


def test_a_ray_that_cannot_start_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = RaySession(Settings(home=tmp_path))
    monkeypatch.setattr(RaySession, "is_running", False)
    monkeypatch.setattr("ray.shutdown", lambda: None)  # the session that the other tests share stays up
    monkeypatch.setattr("ray.init", lambda **_words: (_ for _ in ()).throw(OSError("No space left on device")))
    before = dict(os.environ)
    with pytest.raises(ServiceError, match="No space left on device"):
        session.start()
    assert dict(os.environ) == before


@pytest.mark.parametrize(("failures", "is_up"), [(2, True), (STARTS, False)])
def test_daemons_that_are_late_on_a_busy_machine_are_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, is_up: bool
) -> None:
    """Ray gives them 30 s, whatever is configured, and then raises a bare Exception."""
    folders: list[Path] = []

    def init(*, _temp_dir: str, **_words: object) -> None:
        folders.append(Path(_temp_dir))
        assert [folder.is_dir() for folder in folders] == [False] * (len(folders) - 1) + [True]
        if len(folders) <= failures:
            raise Exception("The current node timed out during startup.")  # noqa: TRY002  (as Ray does)

    monkeypatch.setattr(RaySession, "is_running", False)
    monkeypatch.setattr("ray.shutdown", lambda: None)  # the session that the other tests share stays up
    monkeypatch.setattr("ray.init", init)
    session = RaySession(Settings(home=tmp_path))
    if is_up:
        session.start()
        assert folders[-1].is_dir()
    else:
        with pytest.raises(ServiceError, match="timed out during startup"):
            session.start()
    session.stop()
    assert len(folders) == min(failures + 1, STARTS)
    assert not any(folder.exists() for folder in folders)


def test_who_ended_is_gone_and_who_goes_on_is_left_whatever_a_kernel_says_of_pidfds(monkeypatch):
    def refused(*_: object) -> int:
        raise FileNotFoundError("as some kernels answer for a process that ends just now")

    monkeypatch.setattr(os, "pidfd_open", refused)
    ended, stays = (subprocess.Popen([sys.executable, "-c", code]) for code in ("", "import time; time.sleep(600)"))
    family = [psutil.Process(child.pid) for child in (ended, stays)]
    try:
        assert [process.pid for process in _left_after(family, limit_s=3.0)] == [stays.pid]
        stays.kill()
        assert _left_after(family, limit_s=60.0) == []
    finally:
        stays.kill()
        stays.wait()
        ended.wait()
