"""The gate against what it has to refuse: lookup tables, means, models that do not look, sound out of step.

Everything goes through the code of a run. The other side of it: a perfect answer passes, and each rule is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from gate_stage import LOSSES, WORN_COPIER, measured, stage_config
from training_toy import make_config, make_source, make_trainer

from tasks.evaluation_inputs import losses_on
from uniform_core.metrics import LossGapConfig, gate
from uniform_core.metrics.gate import CONTROLS, GateConfig, Rule, Side, Verdict, judge, rules_of
from uniform_core.metrics.proof import MUST_FAIL, Proof, prove
from uniform_core.training.fit import validate
from uniform_core.types import Task

Rows = Sequence[Mapping[str, Any]]
LOSS_RULE = "no gap of losses"
RULES = {rule.name: rule for rule in rules_of(GateConfig())}
ASKED = [(task, rule.name) for rule in rules_of(GateConfig()) for task in rule.tasks if rule.name != LOSS_RULE]


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    """Scores of the perfect answer and of every control: some minutes of one core."""
    threads = torch.get_num_threads()
    yield measured(stage_config())
    torch.set_num_threads(threads)


def proof_of(rows: Rows) -> Proof:
    return prove(rows, GateConfig())


def test_a_perfect_answer_passes_and_every_control_is_refused(rows: Rows) -> None:
    proof = proof_of(rows)
    assert not [(c.task, c.rule.name, c.name, c.found) for c in proof.checks if c.verdict is not Verdict.PASSED]
    assert {refusal.system for refusal in proof.refusals} == {"retrieval", *CONTROLS}
    assert proof.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("control", "task", "named"),
    [(control, task, rules) for control, by_task in MUST_FAIL.items() for task, rules in by_task.items()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_control_fails_the_checks_that_are_named_for_it(
    rows: Rows, control: str, task: Task, named: tuple[str, ...]
) -> None:
    assert set(named) <= failed_by(rows, control, task)


@pytest.mark.parametrize(
    ("control", "task", "failed"),
    [
        # By text a lookup table is found by the tests of memory alone.
        ("retrieval", Task.T2AV, {"no copying", "few near copies"}),
        # Sound of another clip of the class is found by the tests of its partner alone; by text, its pitch is another.
        ("shuffled", Task.T2AV, {"synchrony by text", "synchrony of own partners", "pitch as asked"}),
        ("shuffled", Task.A2V, {"synchrony given", "synchrony of own partners"}),
        ("shuffled", Task.V2A, {"synchrony given", "synchrony of own partners", "onsets", "onsets of own partners"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_control_that_is_good_at_all_else_fails_nothing_else(
    rows: Rows, control: str, task: Task, failed: set[str]
) -> None:
    assert failed_by(rows, control, task) == failed


def test_copies_that_went_through_the_codecs_are_copies_still(rows: Rows) -> None:
    """A model that knows its clips by heart hands out what its codecs make of them, not the files that it was shown."""
    checks = judge(rows, GateConfig(), system=WORN_COPIER, task=Task.T2AV)
    found = {(check.rule.name, check.name.split(".")[1]): check.found for check in checks if check.found is not None}
    assert found.keys() == {
        (rule, f"{m}sketch") for rule in ("no copying", "few near copies") for m in ("video", "mel")
    }
    assert failed_by(rows, WORN_COPIER, Task.T2AV) == {"no copying", "few near copies"}
    assert {check.verdict for check in checks if check.found is not None} == {Verdict.FAILED}, found


def failed_by(rows: Rows, system: str, task: Task) -> set[str]:
    checks = judge(rows, GateConfig(), system=system, task=task)
    return {check.rule.name for check in checks if check.verdict is Verdict.FAILED}


def test_every_rule_is_failed_by_a_control_at_every_task() -> None:
    named = {(task, rule) for by_task in MUST_FAIL.values() for task, rules in by_task.items() for rule in rules}
    assert named == set(ASKED)


@pytest.mark.parametrize(("task", "name"), ASKED)
def test_each_stream_that_a_rule_is_asked_of_is_failed_by_a_control_that_is_named_for_it(
    rows: Rows, task: Task, name: str
) -> None:
    """So that no single check could ask for the other side of its bound, nor one stream for less than the other."""
    named = [system for system, by_task in MUST_FAIL.items() if name in by_task.get(task, ())]
    verdicts: defaultdict[str, set[Verdict]] = defaultdict(set)
    for system in ("uniform", *named):
        for check in judge(rows, GateConfig(), system=system, task=task):
            if check.rule.name == name:
                verdicts[check.name].add(check.verdict)
    assert all(found == {Verdict.PASSED, Verdict.FAILED} for found in verdicts.values()), verdicts
    assert len(verdicts) == (len(task.made) if RULES[name].by_stream else 1)


@pytest.mark.parametrize(("task", "name"), ASKED)
def test_with_its_sign_flipped_a_rule_lets_a_control_through_and_refuses_the_perfect_answer(
    rows: Rows, task: Task, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "rules_of", flipped(gate.rules_of, name, task))
    proof = proof_of(rows)
    through = [(refusal.task, rule) for refusal in proof.refusals for rule in refusal.missed]
    assert through
    assert set(through) == {(str(task), name)}
    failed = {(check.task, check.rule.name) for check in proof.checks if check.verdict is Verdict.FAILED}
    assert failed == {(str(task), name)}
    assert proof.verdict is Verdict.FAILED


def flipped(
    rules: Callable[[GateConfig], tuple[Rule, ...]], name: str, task: Task
) -> Callable[[GateConfig], tuple[Rule, ...]]:
    """The rules, of which one asks for the other side of its bound at one task."""

    def parts(rule: Rule) -> tuple[Rule, ...]:
        if rule.name != name:
            return (rule,)
        others = tuple(other for other in rule.tasks if other is not task)
        other_side: Side = "≤" if rule.is_at_least else "≥"
        return replace(rule, tasks=others), replace(rule, tasks=(task,), side=other_side)

    return lambda config: tuple(part for rule in rules(config) for part in parts(rule))


def test_a_model_that_knows_its_clips_by_heart_fails_the_gap_of_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the rule that speaks of a model, not of clips."""
    config = make_config(steps=400, batch=6, lr=1e-2, validation_clips=6, text_drop=0.0)
    source, others = make_source(config, clips=6), make_source(config, clips=6, seed=1)
    trainer = make_trainer(config)
    while trainer.step < config.steps:
        trainer.train_step(source.batch_at(trainer.step))
    by_heart = validate(trainer, source, others).numbers()

    def verdict(losses: Mapping[str, float], task: Task) -> Verdict:
        metric = LossGapConfig.example()
        score = metric.score({need: losses_on(losses, need.side, task) for need in metric.needs})
        row = {**score.as_row(), "system": "uniform", "task": str(task)}
        [found] = [
            check for check in judge([row], GateConfig(), system="uniform", task=task) if check.rule.name == LOSS_RULE
        ]
        return found.verdict

    for task in Task:
        assert verdict(by_heart, task) is Verdict.FAILED, by_heart
        assert verdict(LOSSES, task) is Verdict.PASSED
    for task in Task:
        with monkeypatch.context() as patch:
            patch.setattr(gate, "rules_of", flipped(gate.rules_of, LOSS_RULE, task))
            assert verdict(by_heart, task) is Verdict.PASSED
            assert verdict(LOSSES, task) is Verdict.FAILED
