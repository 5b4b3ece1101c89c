"""What tests share for a whole session, since it is slow to start: one Ray, one Prefect server, one MLflow database.

The fixtures work where `tests/conftest.py` imports them.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.server import PrefectServer, prefect_server
from tasks.ray_session import RaySession, ray_session
from uniform_core.settings import Settings


@pytest.fixture(scope="session")
def ray_running() -> Iterator[RaySession]:
    """One Ray for every test of the session."""
    with session_ray() as session:
        yield session


@pytest.fixture(scope="session")
def tracking_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose MLflow database is made."""
    return tracking_home(tmp_path_factory.mktemp("tracking"))


@pytest.fixture(scope="session")
def prefect_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose Prefect database is made."""
    return prefect_home(tmp_path_factory.mktemp("prefect-template"))


@pytest.fixture(scope="session")
def prefect_running(prefect_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """One Prefect server for every test of the session."""
    with session_server(prefect_template, tmp_path_factory.mktemp("prefect-running")) as server:
        yield server


@contextlib.contextmanager
def session_ray() -> Iterator[RaySession]:
    """One Ray for every test of the session, started at once; sessions of the code under test use it too."""
    with ray_session(Settings(home=Path(tempfile.gettempdir()), cpus=2)) as session:
        session.start()
        yield session


def tracking_home(directory: Path) -> Path:
    """A root with an MLflow database in it, which takes 3 s to make: the template of `seed_tracking`."""
    from tasks.tracking import Tracker

    Tracker.open(Settings(home=directory), experiment="template")
    return directory


def seed_tracking(template: Path, home: Path) -> None:
    """Put a copy of the template's database into a fresh root."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template / "mlflow.db", home / "mlflow.db")


def prefect_home(directory: Path) -> Path:
    """A root with a Prefect database in it, which takes 20 s to make: the template of `seed_prefect`."""
    with prefect_server(Settings(home=directory)):
        return directory


def seed_prefect(template: Path, home: Path) -> None:
    """Put a copy of the template's Prefect database into a fresh root."""
    (home / "prefect").mkdir(parents=True)
    for file in (template / "prefect").glob("prefect.db*"):
        shutil.copy(file, home / "prefect" / file.name)


@contextlib.contextmanager
def session_server(template: Path, home: Path) -> Iterator[PrefectServer]:
    """One Prefect server for the session, with everything that a deployed one runs."""
    seed_prefect(template, home)
    with prefect_server(Settings(home=home), scheduling=True) as server:
        yield server
