"""Loss curves by task and modality, from the history that training writes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
    """One chart for each modality that was trained, its tasks as curves, losses on held-out clips as dots."""
    trained, held_out = _series(history)
    charts = []
    for modality in Modality:
        keys = [(str(task), str(modality)) for task in Task if (str(task), str(modality)) in trained]
        if keys:
            charts.append(_chart(str(modality), {key[0]: (trained[key], held_out.get(key, [])) for key in keys}))
    return tuple(charts)


def _series(history: Sequence[Mapping[str, Any]]) -> tuple[dict[Key, Points], dict[Key, Points]]:
    """Losses on training batches and on held-out clips, by task and modality."""
    trained: defaultdict[Key, Points] = defaultdict(list)
    held_out: defaultdict[Key, Points] = defaultdict(list)
    for record in history:
        if "validation" in record:
            for name, value in record["validation"].items():
                split, _, rest = name.partition(".")
                task, _, modality = rest.partition(".")
                if split == "held_out":
                    held_out[task, modality].append((record["step"], value))
        else:
            for modality, value in record.get("losses", {}).items():
                trained[record["task"], modality].append((record["step"], value))
    return dict(trained), dict(held_out)


def _chart(modality: str, series: Mapping[str, tuple[Points, Points]]) -> LossChart:
    smooth = {task: smoothed(points) for task, (points, _) in series.items()}
    shown = [y for points in smooth.values() for _, y in points] + [y for _, dots in series.values() for _, y in dots]
    steps = [x for points, dots in series.values() for x, _ in (*points, *dots)]
    x_axis, x_ticks = linear_axis([0, *steps], start=LEFT, end=RIGHT)
    # The smooth curves and the dots set the height: a single wild batch must not flatten the rest.
    y_axis, y_ticks = linear_axis(shown, start=BOTTOM, end=TOP)
    curves = [
        Curve(
            task=task,
            raw=_polyline(thinned(points), x_axis, y_axis),
            smooth=_polyline(thinned(smooth[task]), x_axis, y_axis),
            held_out=tuple((x_axis.place(x), y_axis.place(y)) for x, y in dots),
            last=smooth[task][-1][1],
            last_held_out=dots[-1][1] if dots else None,
        )
        for task, (points, dots) in series.items()
    ]
    return LossChart(
        modality=modality,
        x_ticks=tuple(Tick(x_axis.place(value), tick_text(value)) for value in x_ticks if value == int(value)),
        y_ticks=tuple(Tick(y_axis.place(value), tick_text(value)) for value in y_ticks),
        curves=tuple(curves),
    )


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
