"""Stages in the test's own process: no Ray, the same workers, readers and commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.context import RunContext
from tasks.pool import PoolSummary, run_here
from tasks.pool_member import Resources
from tasks.ray_session import RaySession
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.progress import silent
from uniform_core.settings import Settings


class NoRay(RaySession):
    """A session that starts nothing."""

    def start(self) -> None:
        """There is nothing to start."""

    def require(self, resources: Resources) -> None:
        """The test's process has what it has."""


def run_in_driver(worker: type[Any], batches: Iterable[Sequence[Any]], **words: Any) -> PoolSummary:
    """What `run_pool` does, in this process."""
    kept = {name: words[name] for name in ("setup", "on_result", "on_tick", "read_by")}
    return run_here(worker, batches, **kept)


def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every stage runs in this process."""
    monkeypatch.setattr("tasks.stage.run_pool", run_in_driver)


def context_without_ray(home: Path, *overrides: str, preset: str = "nano", data: str | None = None) -> RunContext:
    """A run of a preset with these overrides. Say `without_ray` first."""
    settings = Settings(home=home, cpus=2)
    config = build_run(preset, data=data, overrides=list(overrides))
    return RunContext(settings, config, Catalog.open(settings), NoRay(settings), "run", silent)
