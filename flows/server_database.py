"""Prefect's database as set-up makes it, once: a home's first server would take a quarter of a minute for its own.

`python -m flows.server_database` makes it, beside the interpreter that runs it, for the Prefect that is installed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

NAME = "prefect.db"


def template() -> Path:
    """Where set-up puts the database; another Prefect has another."""
    return Path(sys.prefix) / "share" / "uniform" / f"prefect-{version('prefect')}.db"


def make_template() -> Path:
    """Make the database that homes begin with: tables and nothing in them. One that is there stays."""
    target = template()
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="uf-prefect-") as home:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "PREFECT_HOME": home,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        whole = Path(home) / "whole.db"
        with closing(sqlite3.connect(Path(home) / NAME)) as database:
            database.execute("VACUUM INTO ?", [str(whole)])  # one file: what still lay in the journal is in it
        _put(whole, target)
    return target


def seed(prefect_home: Path) -> None:
    """Give a home without a database the one of set-up; without that, its server makes its own."""
    if template().is_file() and not (prefect_home / NAME).exists():
        _put(template(), prefect_home / NAME)


def _put(source: Path, target: Path) -> None:
    partial = target.with_suffix(f".partial-{os.getpid()}")
    shutil.copyfile(source, partial)
    partial.replace(target)


if __name__ == "__main__":
    make_template()
