"""One Prefect server, which answers while it is needed and never outlives the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import prefect
import psutil
import pytest
from command_line import environment_of
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_HOME,
    temporary_settings,
)
from services import seed_prefect

from flows.server import PrefectServer, prefect_server
from flows.server_answer import is_healthy, require_prefect
from uniform_core.errors import ConfigError, ServiceError
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


Answers = dict[str, tuple[int, bytes]]
"""What a program says at each path: status and body; 404 elsewhere."""


@contextlib.contextmanager
def program_that_answers(answers: Answers, seen: list[tuple[str, str | None]] | None = None) -> Iterator[str]:
    """The API's address at a program of this thread's own; `seen` takes the paths and who asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append((self.path, self.headers["Authorization"]))
            status, body = answers.get(self.path, (404, b"not here"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            thread.join()


HEALTHY, OURS = (200, b"true"), (200, json.dumps(prefect.__version__).encode())


@pytest.mark.parametrize(
    ("answers", "expected", "found"),
    [
        ({"/api/health": (200, b"<html>\x1b[2J hello")}, "`true`, at http", r"no JSON: '<html>\\x1b\[2J hello'"),
        ({"/api/health": (200, b'{"status": "ok"}')}, "`true`, at http", '{"status": "ok"}'),
        ({"/api/health": (200, b"1")}, "`true`, at http", "'1'"),
        ({"/api/health": (503, b"true")}, "`true`, at http", "status 503"),
        ({"/api/health": (200, b"\xff" * 100_000)}, "`true`, at http", "no JSON"),
        ({}, "`true`, at http", "status 404: 'not here'"),
        ({"/api/health": HEALTHY}, "a JSON text, at http", "status 404"),
        ({"/api/health": HEALTHY, "/api/admin/version": (200, b"<html>")}, "a JSON text, at http", "no JSON"),
        ({"/api/health": HEALTHY, "/api/admin/version": (200, b"3")}, "a JSON text, at http", "'3'"),
        ({"/api/health": HEALTHY, "/api/admin/version": (200, b'"latest"')}, "a JSON text, at http", "latest"),
        ({"/api/health": HEALTHY, "/api/admin/version": (401, b"no")}, "a JSON text, at http", "status 401"),
        ({"/api/health": HEALTHY, "/api/admin/version": (200, b'"2.20.1"')}, "version 3, as", "version 2.20.1"),
    ],
)
def test_what_answers_but_is_no_server_of_ours_is_one_clear_error(
    answers: Answers, expected: str, found: str, tmp_path: Path
) -> None:
    with program_that_answers(answers) as address, pytest.raises(ServiceError) as caught:
        prefect_server(Settings(home=tmp_path, prefect_api_url=address)).__enter__()
    assert caught.value.item == f"Prefect server {address}"
    assert expected in caught.value.expected
    assert re.search(found, caught.value.found)
    assert "unset UNIFORM_PREFECT_API_URL and PREFECT_API_URL" in caught.value.fix


def test_what_speaks_no_http_is_one_clear_error(tmp_path: Path) -> None:
    def speak(listening: socket.socket) -> None:
        with listening.accept()[0] as peer:
            peer.sendall(b"SSH-2.0-\x1b[31mOpenSSH\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        speaking = threading.Thread(target=speak, args=(listening,))
        speaking.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        with pytest.raises(ServiceError, match=r"no answer of HTTP \(SSH-2.0-\\x1b"):
            prefect_server(Settings(home=tmp_path, prefect_api_url=address)).__enter__()
        speaking.join()


def test_a_server_that_is_locked_is_asked_as_prefects_own_client_asks(tmp_path: Path) -> None:
    seen: list[tuple[str, str | None]] = []
    for setting, said in ((PREFECT_API_AUTH_STRING, "Basic bWU6c2VjcmV0"), (PREFECT_API_KEY, "Bearer me:secret")):
        with (
            program_that_answers({"/api/health": HEALTHY, "/api/admin/version": OURS}, seen) as address,
            temporary_settings({setting: "me:secret"}),
            prefect_server(Settings(home=tmp_path, prefect_api_url=address)) as server,
        ):
            assert server == PrefectServer(address, None, None)
        assert seen[-2:] == [("/api/health", None), ("/api/admin/version", said)]


def test_an_address_that_only_prefect_was_told_is_looked_at_too(tmp_path: Path) -> None:
    said = r"PREFECT_API_URL: .*99999/api' \(should have a port of 1 to 65535\)"
    configured = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:99999/api"})
    with configured, pytest.raises(ConfigError, match=said):
        prefect_server(Settings(home=tmp_path)).__enter__()


def test_prefect_cloud_is_left_to_its_own_client() -> None:
    """No connection is made: there is no network here, and an error would say so."""
    require_prefect("https://api.prefect.cloud/api/accounts/a/workspaces/b")


def test_a_configured_server_that_is_not_there_is_one_clear_error(home: Path) -> None:
    settings = Settings(home=home, prefect_api_url="http://127.0.0.1:9/api")
    with pytest.raises(ServiceError, match="unset UNIFORM_PREFECT_API_URL"):
        prefect_server(settings).__enter__()
