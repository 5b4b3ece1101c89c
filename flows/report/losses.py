"""Loss curves by task and modality, from the history that training writes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.report.axes import Axis, linear_axis, tick_text
from flows.report.data import Curve, LossChart, Tick
from uniform_core.types import Modality, Task

LEFT, RIGHT, TOP, BOTTOM = 46.0, 548.0, 12.0, 224.0  # the plot inside its 560 x 270 picture
MAX_POINTS = 300
Points = list[tuple[float, float]]
Key = tuple[str, str]  # task, modality


def read_history(path: Path) -> list[dict[str, Any]]:
    """The records of a history, a later one of the same step in place of an earlier; none where there is no file.

    A resumed training writes the steps since its checkpoint again, and a killed one may leave half a line.
    """
    if not path.is_file():
        return []
    newest: dict[tuple[int, bool], dict[str, Any]] = {}
    for line in path.read_text(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            newest[(record["step"], "validation" in record)] = record
    return [newest[key] for key in sorted(newest)]


def loss_charts(history: Sequence[Mapping[str, Any]]) -> tuple[LossChart, ...]:
    """One chart for each modality that was trained, its tasks as curves, losses at fixed noise as dots."""
    series = _series(history)
    charts = []
    for modality in Modality:
        keys = [(str(task), str(modality)) for task in Task if (str(task), str(modality)) in series]
        if keys:
            charts.append(_chart(str(modality), {key[0]: series[key] for key in keys}))
    return tuple(charts)


@dataclass
class _Series:
    """Losses of one task and modality: on training batches, and at fixed noise on clips of both splits."""

    trained: Points = field(default_factory=list)
    fixed: dict[str, Points] = field(default_factory=lambda: {"train": [], "held_out": []})

    @property
    def dots(self) -> Points:
        return [point for points in self.fixed.values() for point in points]


def _series(history: Sequence[Mapping[str, Any]]) -> dict[Key, _Series]:
    """The losses of a history, of the tasks and modalities that were trained."""
    every: defaultdict[Key, _Series] = defaultdict(_Series)
    for record in history:
        if "validation" in record:
            for name, value in record["validation"].items():
                split, task, modality = name.split(".", 2)
                every[task, modality].fixed[split].append((record["step"], value))
        else:
            for modality, value in record.get("losses", {}).items():
                every[record["task"], modality].trained.append((record["step"], value))
    return {key: series for key, series in every.items() if series.trained}


def _chart(modality: str, by_task: Mapping[str, _Series]) -> LossChart:
    smooth = {task: smoothed(series.trained) for task, series in by_task.items()}
    dots = [dot for series in by_task.values() for dot in series.dots]
    steps = [x for series in by_task.values() for x, _ in series.trained] + [x for x, _ in dots]
    x_axis, x_ticks = linear_axis([0, *steps], start=LEFT, end=RIGHT)
    # The smooth curves and the dots set the height: a single wild batch must not flatten the rest.
    shown = [y for points in smooth.values() for _, y in points] + [y for _, y in dots]
    y_axis, y_ticks = linear_axis(shown, start=BOTTOM, end=TOP)

    def places(points: Points) -> tuple[tuple[float, float], ...]:
        return tuple((x_axis.place(x), y_axis.place(y)) for x, y in points)

    curves = [
        Curve(
            task=task,
            raw=_polyline(thinned(series.trained), x_axis, y_axis),
            smooth=_polyline(thinned(smooth[task]), x_axis, y_axis),
            fixed_train=places(series.fixed["train"]),
            held_out=places(series.fixed["held_out"]),
            last=smooth[task][-1][1],
            last_fixed_train=_last(series.fixed["train"]),
            last_held_out=_last(series.fixed["held_out"]),
        )
        for task, series in by_task.items()
    ]
    return LossChart(
        modality=modality,
        x_ticks=tuple(Tick(x_axis.place(value), tick_text(value)) for value in x_ticks if value == int(value)),
        y_ticks=tuple(Tick(y_axis.place(value), tick_text(value)) for value in y_ticks),
        curves=tuple(curves),
    )


def _last(points: Points) -> float | None:
    return points[-1][1] if points else None


def smoothed(points: Points) -> Points:
    """A moving mean over about a twelfth of the points, as many on both sides; the ends have fewer."""
    reach = len(points) // 24
    values = [y for _, y in points]
    means = []
    for index in range(len(values)):
        own = min(reach, index, len(values) - 1 - index)
        window = values[index - own : index + own + 1]
        means.append(sum(window) / len(window))
    return [(x, mean) for (x, _), mean in zip(points, means, strict=True)]


def thinned(points: Points) -> Points:
    """At most about `MAX_POINTS` of the points, the last among them."""
    every = -(-len(points) // MAX_POINTS)
    kept = points[::every] if every else []
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def _polyline(points: Points, x_axis: Axis, y_axis: Axis) -> str:
    return " ".join(f"{x_axis.place(x)},{y_axis.place(y)}" for x, y in points)
