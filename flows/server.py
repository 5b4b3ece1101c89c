"""The Prefect server of a run: the one that is configured, or one local child that cannot outlive its parent."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.server_answer import is_healthy, require_prefect
from flows.server_database import seed
from tasks.ray_session import environment
from uniform_core.errors import ServiceError
from uniform_core.files import lock
from uniform_core.settings import Settings

HOST = "127.0.0.1"
START_LIMIT_S = 180.0  # 5 s where the database is there; 20 s to make it on two free cores, minutes on a busy machine
STOP_LIMIT_S = 5.0
PRIVATE: Mapping[str, str] = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
# What a run that somebody started by hand does without. Task runs still have to be recorded.
SCHEDULING_SERVICES = (
    "SCHEDULER",
    "LATE_RUNS",
    "FOREMAN",
    "TRIGGERS",
    "PAUSE_EXPIRATIONS",
    "CANCELLATION_CLEANUP",
    "REPOSSESSOR",
    "CLEANUP_RECONCILER",
)


@dataclass(frozen=True)
class PrefectServer:
    """A server that answers. `pid` is that of our child, None for a server that was there."""

    api_url: str
    pid: int | None
    log: Path | None


def _nothing() -> None:
    pass


@contextlib.contextmanager
def prefect_server(
    settings: Settings, *, scheduling: bool = False, port: int | None = None, meanwhile: Callable[[], object] = _nothing
) -> Iterator[PrefectServer]:
    """A server that answers, and that every flow of this process uses while the block runs.

    It is the one that settings or Prefect's own configuration name; else a local child with its data under
    `home/prefect`, which ends with the block, or within a second of this process if that is killed. `scheduling`
    gives the child the services that make and watch scheduled runs. `meanwhile` is called while it starts, which takes
    seconds, for whoever has something else to get ready. Raises ServiceError where none answers, or another program
    does; ConfigError for an address that is none.
    """
    from prefect.settings import PREFECT_API_URL

    configured = settings.prefect_api_url or PREFECT_API_URL.value()
    with contextlib.ExitStack() as stack:
        if configured:
            require_prefect(configured)
            meanwhile()
            server, home = PrefectServer(configured, None, None), None
        else:
            server = stack.enter_context(_local_server(settings, scheduling=scheduling, port=port, meanwhile=meanwhile))
            home = settings.prefect_dir
        stack.enter_context(_used_by_this_process(server.api_url, home))
        yield server


@contextlib.contextmanager
def _used_by_this_process(api_url: str, home: Path | None) -> Iterator[None]:
    """Flows of this process, and of the processes that it starts, talk to the server and keep their files with it."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

    # No second server may start behind our back where the first does not answer.
    here = {PREFECT_API_URL: api_url, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}
    below = {"PREFECT_API_URL": api_url, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false", **PRIVATE}
    if home:
        here[PREFECT_HOME] = home
        below["PREFECT_HOME"] = str(home)
    with environment(below), temporary_settings(here):
        yield


@contextlib.contextmanager
def _local_server(
    settings: Settings, *, scheduling: bool, port: int | None, meanwhile: Callable[[], object]
) -> Iterator[PrefectServer]:
    home = settings.prefect_dir
    home.mkdir(parents=True, exist_ok=True)
    chosen = _free_port() if port is None else port
    _require_free(chosen)
    log = home / "server.log"
    command = [sys.executable, "-m", "flows.server_process", str(chosen), str(os.getpid())]
    with contextlib.ExitStack() as stack:
        with (
            lock(home / "server.lock", shared=False),
            log.open("ab") as log_file,
        ):  # one at a time makes or migrates the database
            seed(home)
            child = subprocess.Popen(
                command,
                env={**os.environ, **_child_environment(home, scheduling=scheduling)},
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,  # Ctrl-C is for the run: the server stays to hear how it ended
            )
            stack.callback(_stop, child)
            meanwhile()
            _wait_until_healthy(child, chosen, log)
        yield PrefectServer(f"http://{HOST}:{chosen}/api", child.pid, log)


def _child_environment(home: Path, *, scheduling: bool) -> dict[str, str]:
    values = {
        **PRIVATE,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "",
    }
    if not scheduling:
        values.update({f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in SCHEDULING_SERVICES})
        values["PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED"] = "false"
        values["PREFECT_SERVER_UI_ENABLED"] = "false"
    return values


def _wait_until_healthy(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not is_healthy(f"http://{HOST}:{port}/api"):
        code = child.poll()
        if code is not None or time.monotonic() > deadline:
            raise ServiceError(
                f"Prefect server on port {port}",
                expected=f"an answer within {START_LIMIT_S:.0f} s",
                found=f"exit code {code}" if code is not None else "none",
                fix=f"Its log is {log}; the last line: {_last_line(log)}",
            )
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a closed one may linger
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServiceError(
                f"Prefect server on port {port}",
                expected="a port that is free",
                found=error.strerror or str(error),
                fix="Choose another port, or none.",
            ) from error


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "(empty)"
