"""The few numbers that matter, each with the gate's own verdict: fidelity of both streams, V2A synchrony."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.outcome import against
from flows.proof import bound_text
from flows.report.axes import number
from flows.report.data import Headline
from flows.report.scores import CHANCE, Found, by_place, ratio
from uniform_core.metrics.gate import Check, Verdict
from uniform_core.types import Task

FIDELITY = {"video fidelity": "Video Fréchet distance", "audio fidelity": "Audio Fréchet distance"}
SYNCHRONY = "V2A synchrony"


def headlines(checks: Sequence[Check], rows: Sequence[Mapping[str, Any]]) -> tuple[Headline, ...]:
    """Fidelity at the task where it is least, and V2A synchrony, of the `checks` of a model; `rows` are all scores.

    What was not measured has no line.
    """
    measured, found = [check for check in checks if check.score is not None], by_place(rows)
    of_fidelity = [[check for check in measured if check.rule.name == rule] for rule in FIDELITY]
    lines = [_fidelity(of_rule, found) for of_rule in of_fidelity if of_rule]
    v2a = [check for check in measured if (check.rule.name, check.task) == ("synchrony given", Task.V2A)]
    return (*lines, *map(_synchrony, v2a))


def _fidelity(checks: Sequence[Check], found: Found) -> Headline:
    """The task where the distance is greatest: the claim holds for all of them or not at all."""
    title = FIDELITY[checks[0].rule.name]
    unknown = next((check for check in checks if check.found is None), None)
    if unknown is not None:
        return Headline(title, "–", f"Not computed at {unknown.task.upper()}: {unknown.reason}.", None)
    worst = max(checks, key=lambda check: check.found or 0.0)
    words = f"that of the codec round trip at {worst.task.upper()}, the task where it is most"
    if (below := ratio(found, worst.name, "untrained", worst.task)) is not None:
        mine, untrained = (found[worst.name, system, worst.task] for system in ("uniform", "untrained"))
        words += f"; {number(below)} times below the untrained model's{against(mine, untrained)}"
    return Headline(
        title, f"{number(worst.found or 0.0)}×", f"{words}. Wanted: {bound_text(worst.rule)}.", _is_good(worst)
    )


def _synchrony(check: Check) -> Headline:
    row = check.score or {}
    if row["value"] is None:
        return Headline(SYNCHRONY, "–", f"Not computed: {check.reason}.", None)
    chance = f"by chance {number(CHANCE)}"
    if check.found is None:
        return Headline(SYNCHRONY, number(row["value"]), f"No verdict: {check.reason}; {chance}.", None)
    words = f"of pairs told right, 95 % interval {number(row['low'])} to {number(row['high'])}, n {row['n_generated']}"
    wanted = f"Wanted of its lower end: {bound_text(check.rule)}."
    return Headline(SYNCHRONY, number(row["value"]), f"{words}; {chance}. {wanted}", _is_good(check))


def _is_good(check: Check) -> bool | None:
    return None if check.verdict is Verdict.UNKNOWN else check.verdict is Verdict.PASSED
