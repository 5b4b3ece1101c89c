"""The gate as the page shows it: an overview of rules by tasks, every check beside the baselines, the controls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flows.proof import bound_text
from flows.report.data import ControlCell, ControlRow, Gate, GateLine, GateRow, Unknown
from flows.report.scores import cell_of
from flows.report.words import stream_of
from uniform_core.metrics.gate import Check, GateConfig, Rule, Verdict, rules_of
from uniform_core.metrics.proof import Proof, Refusal

BASELINES: Final = ("untrained", "retrieval", "codec_round_trip", "real")
Rows = Sequence[Mapping[str, Any]]


def gate_view(proof: Proof, scores: Rows) -> Gate:
    """What the gate says of a model, beside what `scores` have of the baselines."""
    present = {row["system"] for row in scores}
    baselines = tuple(system for system in BASELINES if system in present)
    values = {(row["name"], row["system"], row["task"]): row["value"] for row in scores}
    lines = tuple(_line(check, baselines, values) for check in proof.checks)
    tasks = tuple(dict.fromkeys(check.task for check in proof.checks))
    return Gate(
        verdict=str(proof.verdict),
        narrower=proof.narrower,
        counts={str(verdict): count for verdict, count in proof.counts().items()},
        tasks=tasks,
        baselines=baselines,
        rows=_overview(lines, tasks),
        lines=lines,
        unknown=_unknown(lines, proof.refusals),
        controls=_controls(proof.refusals, tasks),
        controls_asked=len(proof.refusals),
        controls_refused=sum(refusal.verdict is Verdict.PASSED for refusal in proof.refusals),
    )


def _line(check: Check, baselines: Sequence[str], values: Mapping[tuple[str, str, str], float | None]) -> GateLine:
    def beside(system: str) -> float | None:
        of_task = values.get((check.name, system, check.task))
        return values.get((check.name, system, "all")) if of_task is None else of_task

    return GateLine(
        task=check.task,
        rule=check.rule.name,
        stream=stream_of(check.name),
        words=check.rule.words,
        metric=check.name,
        verdict=str(check.verdict),
        found=check.found,
        interval=check.interval,
        bound=check.rule.bound,
        wanted=_wanted(check.rule),
        reaches_goal=check.reaches_goal,
        cell=None if check.score is None else cell_of(check.score),
        p=None if check.score is None else check.score["p"],
        reason=check.reason,
        beside=tuple(beside(system) for system in baselines),
    )


def _wanted(rule: Rule) -> str:
    return bound_text(rule).replace("-", "−")


def _overview(lines: Sequence[GateLine], tasks: Sequence[str]) -> tuple[GateRow, ...]:
    """A row for each rule, in the order in which the gate asks them."""
    by_rule: dict[str, list[GateLine]] = {rule.name: [] for rule in rules_of(GateConfig())}
    for line in lines:
        by_rule[line.rule].append(line)
    return tuple(
        GateRow(
            rule, found[0].wanted, found[0].words, tuple(tuple(x for x in found if x.task == task) for task in tasks)
        )
        for rule, found in by_rule.items()
        if found
    )


def _unknown(lines: Sequence[GateLine], refusals: Sequence[Refusal]) -> tuple[Unknown, ...]:
    """The reasons for which checks of the model and of controls could not be computed, each with its checks."""
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.found is None:
            by_reason[line.reason or "no reason is known"].append(f"{line.task.upper()} {line.rule} ({line.stream})")
    for refusal in refusals:
        for rule, reason in refusal.unknown.items():
            by_reason[reason].append(f"control {refusal.system}, {refusal.task.upper()} {rule}")
    return tuple(Unknown(reason, tuple(checks)) for reason, checks in by_reason.items())


def _controls(refusals: Sequence[Refusal], tasks: Sequence[str]) -> tuple[ControlRow, ...]:
    by_place = {
        (refusal.system, refusal.task): ControlCell(
            str(refusal.verdict), refusal.failed, refusal.missed, tuple(refusal.unknown)
        )
        for refusal in refusals
    }
    systems = dict.fromkeys(refusal.system for refusal in refusals)
    return tuple(ControlRow(system, tuple(by_place.get((system, task)) for task in tasks)) for system in systems)
