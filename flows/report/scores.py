"""Scores as a table, and as plots beside their baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.axes import linear_axis, log_axis, number, tick_text
from flows.report.data import Cell, Mark, Plot, PlotRow, ScoreColumn, ScoreRow, Tick
from uniform_core.metrics.gate import CONTROLS
from uniform_core.metrics.layers import made_clips
from uniform_core.types import Task

SYSTEMS = ("uniform", "untrained", "retrieval", "codec_round_trip", "real")
TASKS = (*(str(task) for task in Task), "all")
LEFT, RIGHT = 60.0, 402.0  # of the axis inside a plot that is 420 wide
WIDEST = 1e4  # how many times its least value the greatest on an axis may be
CHANCE = 0.5
Found = Mapping[tuple[str, str, str], Mapping[str, Any]]  # rows of `scores` by metric, system and task


def by_place(rows: Sequence[Mapping[str, Any]]) -> Found:
    """The rows by what they speak of."""
    return {(row["name"], row["system"], row["task"]): row for row in rows}


def score_table(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[ScoreColumn, ...], tuple[ScoreRow, ...]]:
    """A row for each metric, a column for each system at each task; those that are known come first.

    Controls are left out: what they are there for is to be refused, and the gate's own table says so.
    """
    found = by_place(rows)
    places = sorted({(row["system"], row["task"]) for row in rows if row["system"] not in CONTROLS}, key=_column_order)
    columns = tuple(ScoreColumn(system, task) for system, task in places)
    names = sorted({row["name"] for row in rows}, key=_metric_order)
    return columns, tuple(
        ScoreRow(name, tuple(None if row is None else cell_of(row) for row in cells))
        for name in names
        for cells in [[found.get((name, column.system, column.task)) for column in columns]]
    )


def cell_of(row: Mapping[str, Any]) -> Cell:
    """A score, with what it stands on."""
    numbers = {name: row[name] for name in ("value", "low", "high", "n_reference", "reason")}
    return Cell(n_generated=made_clips(row), **numbers)


def _column_order(place: tuple[str, str]) -> tuple[int, str, int]:
    system, task = place
    known = SYSTEMS.index(system) if system in SYSTEMS else len(SYSTEMS)
    return known, system, TASKS.index(task) if task in TASKS else len(TASKS)


WORDS = ("fvd", "fad", "synchrony", "class_accuracy", "av_align", "av_align_chance", "kvd", "kad", "kl", "is")


def _metric_order(name: str) -> tuple[int, str]:
    word = name.split(".")[0]
    return (WORDS.index(word) if word in WORDS else len(WORDS)), name


def score_plots(rows: Sequence[Mapping[str, Any]]) -> tuple[Plot, ...]:
    """Fréchet distances on a logarithmic axis, synchrony on one with chance marked; a row for each task."""
    found = by_place(rows)
    names = sorted({name for name, _, _ in found}, key=_metric_order)
    plots = [_plot(name, found) for name in names if name.split(".")[0] in ("fvd", "fad", "synchrony")]
    return tuple(plot for plot in plots if plot.rows)


def _plot(name: str, found: Found) -> Plot:
    is_log = not name.startswith("synchrony.")
    lines = {}
    for task in TASKS[:-1]:
        marks = {s: found.get((name, s, task)) or found.get((name, s, "all")) for s in reversed(SYSTEMS)}
        valued = {s: row for s, row in marks.items() if row is not None and _can_stand(row["value"], is_log)}
        if "uniform" in valued:
            lines[task] = valued
    values = [row["value"] for line in lines.values() for row in line.values()]
    if is_log:
        # A baseline that is all but equal to real clips must not press the others together: it lies at the end.
        axis, ticks = log_axis([v for v in values if v >= max(values) / WIDEST], start=LEFT, end=RIGHT)
    else:
        axis, ticks = linear_axis([0.0, 1.0], start=LEFT, end=RIGHT)

    def mark(system: str, row: Mapping[str, Any]) -> Mark:
        low, high = (
            None if row[end] is None or system != "uniform" else axis.place(row[end]) for end in ("low", "high")
        )
        return Mark(system, axis.place(row["value"]), low, high, row["value"])

    plot_rows = [
        PlotRow(task, tuple(mark(system, row) for system, row in line.items()), _words(name, task, found))
        for task, line in lines.items()
    ]
    return Plot(
        name=name,
        is_log=is_log,
        ticks=tuple(Tick(axis.place(value), tick_text(value)) for value in ticks),
        rows=tuple(plot_rows),
        chance=None if is_log else axis.place(CHANCE),
    )


def _can_stand(value: float | None, is_log: bool) -> bool:
    return value is not None and (value > 0 or not is_log)


def _words(name: str, task: str, found: Found) -> str:
    """What a row of a plot comes to."""
    if name.startswith("synchrony."):
        return interval_words(found[name, "uniform", task])
    parts = []
    if (below := ratio(found, name, "untrained", task)) is not None:
        parts.append(f"{number(below)}× below untrained")
    if (above := ratio(found, name, "codec_round_trip", task)) is not None:
        parts.append(f"{number(1 / above)}× the codec")
    return ", ".join(parts)


def ratio(found: Found, name: str, system: str, task: str) -> float | None:
    """A baseline's value over the model's; None where one of them has none, or is not positive."""
    mine = found.get((name, "uniform", task))
    other = found.get((name, system, task)) or found.get((name, system, "all"))
    own, others = (None if row is None else row["value"] for row in (mine, other))
    return None if own is None or others is None or own <= 0 or others <= 0 else float(others / own)


def interval_words(row: Mapping[str, Any]) -> str:
    """A value with its interval, in words."""
    if row["value"] is None:
        return f"not computed: {row['reason']}"
    if row["low"] is None or row["high"] is None:
        return f"{number(row['value'])} (no interval, n {row['n_generated']})"
    return f"{number(row['value'])} [{number(row['low'])}, {number(row['high'])}], n {row['n_generated']}"
