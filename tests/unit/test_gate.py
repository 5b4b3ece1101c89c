"""The gate's logic on rows of its own: sides of bounds, ratios, what is not computed, verdicts, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from flows.proof import bound_text, proof_json, proof_text, verdict_text
from uniform_core.metrics import proof as proof_module
from uniform_core.metrics.gate import BESIDE, CONTROLS, GateConfig, Rule, Verdict, judge, rules_of, words_needed
from uniform_core.metrics.proof import MUST_FAIL, prove
from uniform_core.types import Task

GATE = GateConfig()
RULES = rules_of(GATE)


def row(
    rule: Rule, found: float | None, *, system: str = "uniform", task: Task = Task.V2A, n: int = 192
) -> dict[str, Any]:
    """A row of `scores` in which the quantity of a rule is this number (over 2.0 where it is a ratio)."""
    quantity = "value" if rule.quantity in BESIDE else rule.quantity
    number = None if found is None else found * (2.0 if rule.quantity in BESIDE else 1.0)
    return {
        "name": f"{rule.metric}.net.test",
        "system": system,
        "task": str(task),
        "value": 0.5,
        "low": None,
        "high": None,
        "p": None,
        "reason": None,
        "n_generated": n,
        quantity: number,
    }


def beside(rule: Rule, *, value: float = 2.0, n: int = 192) -> list[dict[str, Any]]:
    """The row that a ratio is taken to."""
    if rule.quantity not in BESIDE:
        return []
    return [{**row(rule, 1.0), "system": BESIDE[rule.quantity], "task": "all", "value": value, "n_generated": n}]


def verdict_of(rule: Rule, found: float | None, **change: Any) -> Verdict:
    task = rule.tasks[0]
    rows = [row(rule, found, task=task), *beside(rule, **change)]
    [check] = [check for check in judge(rows, GATE, system="uniform", task=task) if check.rule == rule]
    return check.verdict


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_passed_at_its_bound_and_failed_beyond_it(rule: Rule) -> None:
    step = 1e-6 if rule.is_at_least else -1e-6
    assert verdict_of(rule, rule.bound) is Verdict.PASSED
    assert verdict_of(rule, rule.bound + step) is Verdict.PASSED
    assert verdict_of(rule, rule.bound - step) is Verdict.FAILED


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.quantity in BESIDE], ids=lambda rule: rule.name)
def test_a_ratio_is_of_equal_numbers_of_clips_and_of_something(rule: Rule) -> None:
    assert verdict_of(rule, 1.0, n=48) is Verdict.UNKNOWN
    assert verdict_of(rule, 1.0, value=0.0) is Verdict.UNKNOWN
    alone = list(judge([row(rule, 1.0, task=rule.tasks[0])], GATE, system="uniform", task=rule.tasks[0]))
    [check] = [check for check in alone if check.rule == rule]
    assert check.verdict is Verdict.UNKNOWN
    assert BESIDE[rule.quantity] in (check.reason or "")


def test_what_was_not_measured_says_so() -> None:
    checks = judge([], GATE, system="uniform", task=Task.T2AV)
    assert {check.verdict for check in checks} == {Verdict.UNKNOWN}
    assert {check.reason for check in checks} == {"this evaluation has no such metric"}
    null = {**row(RULES[0], None, task=Task.T2AV), "value": None, "reason": "too few clips"}
    [check] = [c for c in judge([null], GATE, system="uniform", task=Task.T2AV) if c.rule == RULES[0]]
    assert check.reason == "too few clips"


def test_a_rule_is_asked_of_every_score_of_its_metric() -> None:
    [rule] = [rule for rule in RULES if rule.name == "class"]
    rows = [row(rule, 0.9), {**row(rule, 0.1), "name": "class_accuracy.other.test"}]
    found = [check.verdict for check in judge(rows, GATE, system="uniform", task=Task.V2A) if check.rule == rule]
    assert sorted(found) == [Verdict.FAILED, Verdict.PASSED]


def test_a_goal_is_told_and_decides_nothing() -> None:
    [rule] = [rule for rule in RULES if rule.name == "audio fidelity"]
    rows = [row(rule, 7.0), *beside(rule)]
    [check] = [check for check in judge(rows, GATE, system="uniform", task=Task.V2A) if check.rule == rule]
    assert (check.verdict, check.reaches_goal) == (Verdict.PASSED, False)
    assert bound_text(rule) == "≤ 10 (goal 5)"


def passing(system: str = "uniform") -> list[dict[str, Any]]:
    """Rows of a system that is at every bound of every task, and what they are compared with."""
    by_name: dict[tuple[str, Task], dict[str, Any]] = {}
    for rule in RULES:
        for task in rule.tasks:
            new = row(rule, rule.bound, system=system, task=task)
            quantity = "value" if rule.quantity in BESIDE else rule.quantity
            by_name.setdefault((new["name"], task), new)[quantity] = new[quantity]
    return [*by_name.values(), *(other for rule in RULES for other in beside(rule))]


def test_a_proof_is_passed_where_every_check_is() -> None:
    proof = prove(passing(), GATE, tasks=tuple(Task))
    assert proof.verdict is Verdict.PASSED
    assert not proof.refusals
    assert "gate passed" in verdict_text(proof)
    assert proof_json(proof)["verdict"] == "passed"


def test_one_check_that_fails_or_is_not_computed_decides() -> None:
    rows = passing()
    [first] = [row for row in rows if (row["name"], row["task"]) == ("class_accuracy.net.test", "v2a")]
    first["value"] = 0.1
    proof = prove(rows, GATE, tasks=tuple(Task))
    assert proof.verdict is Verdict.FAILED
    assert "failed: v2a class (class_accuracy.net.test): 0.1, wanted ≥ 0.8" in verdict_text(proof)
    first.update(value=None, reason="no clips")
    assert prove(rows, GATE, tasks=tuple(Task)).verdict is Verdict.UNKNOWN
    assert prove(rows, GATE, tasks=(Task.T2AV,)).verdict is Verdict.PASSED


def test_a_control_that_gets_through_fails_the_proof_and_is_named() -> None:
    proof = prove([*passing(), *passing("shuffled")], GATE, tasks=tuple(Task))
    assert {check.verdict for check in proof.checks} == {Verdict.PASSED}
    assert proof.verdict is Verdict.FAILED
    assert [refusal.missed for refusal in proof.refusals] == list(MUST_FAIL["shuffled"].values())
    assert "the gate let shuffled through at v2a" in verdict_text(proof)
    assert "NO" in proof_text(proof)


def test_a_control_that_could_not_be_computed_leaves_the_proof_open() -> None:
    rows = [{**row, "value": None, "low": None, "p": None, "reason": "no classes"} for row in passing("shuffled")]
    own = [row for row in rows if row["system"] == "shuffled"]
    proof = prove([*passing(), *own], GATE, tasks=tuple(Task))
    assert proof.verdict is Verdict.UNKNOWN
    assert all(refusal.unknown and not refusal.missed for refusal in proof.refusals)


@pytest.mark.parametrize(
    ("video", "audio", "expected"),
    [
        (0.1, 0.9, Verdict.PASSED),  # one stream is enough to refuse it
        (0.1, None, Verdict.PASSED),
        (0.9, None, Verdict.UNKNOWN),
        (0.9, 0.9, Verdict.FAILED),
    ],
)
def test_a_control_is_refused_where_one_stream_of_it_is(
    video: float, audio: float | None, expected: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof_module, "MUST_FAIL", {"text_blind": {Task.T2AV: ("class",)}})
    [rule] = [rule for rule in RULES if rule.name == "class"]
    rows = [
        {**row(rule, found, system="text_blind", task=Task.T2AV), "name": f"class_accuracy.{net}.test", "reason": why}
        for net, found, why in (("tinyvideo", video, None), ("tinymel", audio, None if audio else "no clips"))
    ]
    [refusal] = prove(rows, GATE, tasks=(Task.T2AV,)).refusals
    assert refusal.verdict is expected


def test_nothing_that_was_judged_proves_nothing() -> None:
    assert prove([], GATE, tasks=()).verdict is Verdict.UNKNOWN
    assert prove([], GATE, tasks=tuple(Task)).verdict is Verdict.UNKNOWN


def test_what_is_named_exists() -> None:
    assert set(CONTROLS) | {"retrieval"} == set(MUST_FAIL)
    named = {(task, rule) for by_task in MUST_FAIL.values() for task, rules in by_task.items() for rule in rules}
    assert named <= {(task, rule.name) for rule in RULES for task in rule.tasks}
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert set(words_needed()) == {rule.metric for rule in RULES}
