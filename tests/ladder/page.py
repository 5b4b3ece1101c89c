"""What was measured as a file of its own, and as the table of docs/metrics.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ladder.claims import Claim, every_metric, rows
from ladder.climbing import Cell, Values, judged
from ladder.degradations import LADDERS
from ladder.parts import PARTS, part_of

FILE = Path(__file__).parents[2] / "docs" / "ladder.json"
Saved = dict[str, dict[str, Any]]


def setting_of(name: str) -> dict[str, Any]:
    """What the values of a metric depend on: other protocols, clips or rungs are to be measured anew."""
    published = {metric.name: metric.protocol_hash for metric in every_metric()}
    part = next(PARTS[part_of(metric)] for metric in rows() if metric.name == name)
    rungs = {ladder.name: list(ladder.rungs) for ladder in LADDERS.values()}
    return {"protocol_hash": published[name], **asdict(part), "rungs": rungs}


def saved(values: Values) -> Saved:
    """Values as JSON has them, by metric."""
    found: Saved = {}
    for (metric, ladder), values_GR in values.items():
        of = found.setdefault(metric, {"setting": setting_of(metric), "values": {}})
        of["values"][ladder] = values_GR.tolist()
    return found


def read(path: Path = FILE) -> Saved:
    """What is saved; nothing where there is no file."""
    found: Saved = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(found: Mapping[str, dict[str, Any]], path: Path = FILE) -> None:
    """Save metrics in the order of the table, a line each."""
    lines = [f" {json.dumps(m.name)}: {json.dumps(found[m.name])}" for m in rows() if m.name in found]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def cells_of(found: Mapping[str, dict[str, Any]]) -> tuple[Cell, ...]:
    """The cells of what is saved, in the order of the table."""
    known = [metric.name for metric in rows() if metric.name in found]
    return judged({(metric, name): np.array(found[metric]["values"][name]) for metric in known for name in LADDERS})


def table(cells: tuple[Cell, ...]) -> str:
    """The table in Markdown: a row for each metric, a column for each ladder."""
    head = ["metric", *(ladder.about for ladder in LADDERS.values())]
    lines = [head, ["---"] * len(head)]
    for name in dict.fromkeys(cell.metric for cell in cells):
        by_ladder = {cell.ladder: cell for cell in cells if cell.metric == name}
        lines.append([f"`{name}`", *(shown(by_ladder[ladder]) for ladder in LADDERS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(cell: Cell) -> str:
    """A cell in a few signs; what did not come as expected is bold."""
    if cell.claim is Claim.SAME:
        return "=" if cell.holds else "**moved**"
    arrow = {Claim.UP: "↑", Claim.DOWN: "↓"}.get(cell.claim, cell.trend.arrow)
    number = _p(cell.p)
    if cell.claim is Claim.OPEN:
        return "(=)" if cell.trend.is_same else f"({arrow} {number})"
    if cell.claim is Claim.LEVEL:
        return f"○ {number}" if cell.holds else f"**{arrow} {number}**"
    return f"{arrow} {number}" if cell.holds else f"**no {arrow}, {number}**"


def _p(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if value < 1e-3 else f"{value:.2g}".removeprefix("0")
