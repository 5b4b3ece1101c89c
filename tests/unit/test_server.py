"""One Prefect server, which answers while it is needed and never outlives the process that started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from command_line import environment_of
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from services import seed_prefect

from flows.server import PrefectServer, is_healthy, prefect_server
from uniform_core.errors import ServiceError
from uniform_core.settings import Settings


@pytest.fixture
def home(tmp_path: Path, prefect_template: Path) -> Path:
    """A root whose Prefect database is there already: to make one takes 20 s."""
    seed_prefect(prefect_template, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def nothing_configured() -> Iterator[None]:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"server {pid} is still there"
        time.sleep(0.05)


def test_a_local_server_answers_while_the_block_runs_and_no_longer(home: Path) -> None:
    before = dict(os.environ)
    with prefect_server(Settings(home=home)) as server:
        assert server.pid
        assert is_healthy(server.api_url)
        assert os.environ["PREFECT_API_URL"] == server.api_url
        assert os.environ["PREFECT_HOME"] == str(home / "prefect")
        _a_flow_is_recorded(home)
    assert not psutil.pid_exists(server.pid)
    assert dict(os.environ) == before
    assert sorted(path.name for path in home.iterdir()) == ["prefect"]


def _a_flow_is_recorded(home: Path) -> None:
    from prefect import flow, get_client, task

    @flow(name="tiny")
    def tiny() -> int:
        return task(lambda: 1, name="one")()

    assert tiny() == 1
    with get_client(sync_client=True) as client:
        assert [(run.name is not None, run.state_name) for run in client.read_flow_runs()] == [(True, "Completed")]


def test_a_server_dies_with_a_parent_that_is_killed(home: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from flows.server import prefect_server\n"
        "from uniform_core.settings import Settings\n"
        "with prefect_server(Settings(home=Path(sys.argv[1]))) as server:\n"
        "    print(server.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(home)]
    parent = subprocess.Popen(command, env=environment_of(home), stdout=subprocess.PIPE, text=True)  # no other server's
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until_gone(pid)


def test_a_port_in_use_is_one_clear_error(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {port}: expected a port that is free"):
            prefect_server(Settings(home=home), port=port).__enter__()


def test_a_server_that_cannot_start_shows_its_last_words(home: Path) -> None:
    (home / "prefect" / "prefect.db").unlink()
    (home / "prefect" / "prefect.db").mkdir()  # no database can be opened here
    with pytest.raises(ServiceError, match="exit code"):
        prefect_server(Settings(home=home)).__enter__()


def test_a_configured_server_is_used_and_left_alone(home: Path, prefect_running: PrefectServer) -> None:
    settings = Settings(home=home, prefect_api_url=prefect_running.api_url)
    with prefect_server(settings) as server:
        assert server == PrefectServer(prefect_running.api_url, None, None)
        assert PREFECT_HOME.value() != home / "prefect"
    assert is_healthy(prefect_running.api_url)


def test_prefects_own_configuration_counts(home: Path, prefect_running: PrefectServer) -> None:
    configured = temporary_settings({PREFECT_API_URL: prefect_running.api_url})
    with configured, prefect_server(Settings(home=home)) as server:
        assert server.pid is None


def test_a_configured_server_that_is_not_there_is_one_clear_error(home: Path) -> None:
    settings = Settings(home=home, prefect_api_url="http://127.0.0.1:9/api")
    with pytest.raises(ServiceError, match="unset UNIFORM_PREFECT_API_URL"):
        prefect_server(settings).__enter__()
