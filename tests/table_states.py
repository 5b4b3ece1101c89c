"""States of the paper's tables that no catalog had to make."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows.tables.state import RunState, TableState
from uniform_core.build import build_run
from uniform_core.paper_tables import TABLES, Measured, Setting, TableRun, runs_of
from uniform_core.paper_tables.conditions import CHANCE, metric_of

MODEL = "0123456789abcdef" * 2


def run_state(run: TableRun, preset: str, **change: Any) -> RunState:
    """A run whose every metric has the value 1.5, with an interval, on four of six clips."""
    config = build_run(preset, overrides=run.words)
    numbers = tuple(
        Measured(condition, column, metric.name, "f" * 32, 1.5, 1.25, 1.75, 4, 8, None, metric.metric == CHANCE)
        for condition in run.conditions
        for metric in config.evaluate.metrics
        if (column := metric_of(metric)) is not None
        and (metric.protocol.judges is None or metric.protocol.judges in condition.task.made)
    )
    setting = Setting(config.data.name, run.place.is_paper_data, config.spec.duration_s, 4, 6)
    return replace(RunState(run, config, setting, numbers, 0, 0, (), ("k" * 32,)), **change)


def state_of(number: str, preset: str = "nano", **change: Any) -> TableState:
    runs, unavailable = runs_of(number, build_run(preset))
    return TableState(TABLES[number], MODEL, tuple(run_state(run, preset, **change) for run in runs), unavailable)
