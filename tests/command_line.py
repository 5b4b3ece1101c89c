"""How tests use the command line as a person does: a process of its own, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a command in this process, and everything that it said on one line."""
    try:
        code = main(words)
    except SystemExit as exit_:
        code = int(exit_.code)
    out = capsys.readouterr()
    return code, " ".join((out.out + out.err).split())


def environment_of(home: Path) -> dict[str, str]:
    """The environment of a person who has only set UNIFORM_HOME."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "UNIFORM_", "RAY_", "MLFLOW_"))}
    return {**clean, "UNIFORM_HOME": str(home), "OMP_NUM_THREADS": "1"}


def uniform(*words: str, home: Path, timeout_s: float = 900.0, **settings: str) -> Done:
    """Run `uniform …` to its end. Its limit only ends what hangs: a busy machine may take ten times as long."""
    command = [sys.executable, "-m", "flows", *words]
    environment = environment_of(home) | settings
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
    return Done(done.returncode, done.stdout, done.stderr)


def no_network(home: Path) -> dict[str, str]:
    """The settings of a command that has no network; `network_log` says what became of it."""
    here = str(Path(__file__).with_name("no_network"))
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "NO_NETWORK_LOG": str(home.parent / "network.log"), "HF_HUB_OFFLINE": ""}


def network_log(home: Path) -> list[str]:
    """A line for each process without network that was started, and for each connection that was refused."""
    return (home.parent / "network.log").read_text().splitlines()


def start_uniform(*words: str, home: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start `uniform …` and leave it running; its output goes to `log`."""
    command = [sys.executable, "-m", "flows", *words]
    with log.open("ab") as file:
        return subprocess.Popen(command, env=environment_of(home), stdout=file, stderr=file, start_new_session=True)


def processes_of(home: Path) -> list[str]:
    """The command lines of every living process that was started for this home."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("UNIFORM_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:200])
    return found


def short_home(name: str) -> Path:
    """A fresh home with a short path."""
    return Path(tempfile.mkdtemp(prefix=f"uf-{name}-")) / "home"
