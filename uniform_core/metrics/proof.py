"""The proof of learning: the model passes every check of the gate, and every control is refused by those named here.

It is of all tasks, whatever was evaluated: a run must not pass by measuring less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from uniform_core.metrics.gate import BESIDE, Check, GateConfig, Verdict, judge, looser_bounds
from uniform_core.types import Task

_COPIES = ("no copying", "few near copies")
_OUT_OF_STEP = {
    Task.T2AV: ("synchrony by text", "synchrony of own partners"),
    Task.A2V: ("synchrony given", "synchrony of own partners"),
    Task.V2A: ("synchrony given", "synchrony of own partners", "onsets", "onsets of own partners"),
}
_FAITHFUL = {
    Task.T2AV: ("video fidelity", "audio fidelity"),
    Task.A2V: ("video fidelity",),
    Task.V2A: ("audio fidelity",),
}
_VARIED = ("enough diversity", "coverage")
_BLIND = ("class", "no more diversity")

CLIPS: Final = 192  # a task: 32 of each of six classes, and as many real ones beside them

# Which rules each control has to fail, by task. A rule that no control fails would prove nothing; that of the losses
# speaks of a model, not of clips: its control is a model that knows one batch by heart (in the tests).
MUST_FAIL: Final[Mapping[str, Mapping[Task, tuple[str, ...]]]] = {
    "retrieval": dict.fromkeys(Task, _COPIES),
    "copier": dict.fromkeys(Task, _COPIES),
    # Half of the pairs of two prototypes in turns are equal: their diversity is about half of the real one, which is
    # the bound itself. What refuses them is coverage.
    "prototypes": dict.fromkeys(Task, ("coverage", *_COPIES)),
    "class_mean": {task: (*_FAITHFUL[task], *_VARIED) for task in Task},
    "text_blind": {Task.T2AV: (*_BLIND, "colour as asked", "size as asked", "pitch as asked")},
    "given_blind": {task: (*_BLIND, *_OUT_OF_STEP[task]) for task in (Task.A2V, Task.V2A)},
    "shuffled": _OUT_OF_STEP,
}


@dataclass(frozen=True)
class Refusal:
    """What the gate says of a control at a task: `missed` are the rules that it had to fail and did not.

    `unknown` are those that it had to fail and that could not be computed, each with why.
    """

    system: str
    task: str
    failed: tuple[str, ...]
    missed: tuple[str, ...]
    unknown: Mapping[str, str]

    @property
    def verdict(self) -> Verdict:
        """PASSED where the control was refused as it must be: the gate passes its own test."""
        if self.missed:
            return Verdict.FAILED
        return Verdict.UNKNOWN if self.unknown else Verdict.PASSED


@dataclass(frozen=True)
class Proof:
    """Every check of the model, and how the gate did on the controls.

    `narrower` says what this gate asks less of than the standard one does, in a few words each.
    """

    checks: tuple[Check, ...]
    refusals: tuple[Refusal, ...]
    narrower: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """FAILED where one check or one control did; UNKNOWN where something could not be computed."""
        found = {check.verdict for check in self.checks} | {refusal.verdict for refusal in self.refusals}
        if Verdict.FAILED in found:
            return Verdict.FAILED
        return Verdict.UNKNOWN if Verdict.UNKNOWN in found else Verdict.PASSED

    @property
    def words(self) -> str:
        """The verdict, and by which gate where it is a narrower one."""
        return verdict_words(self.verdict, self.narrower)

    def counts(self) -> Mapping[Verdict, int]:
        """How many checks came to each verdict."""
        return {verdict: sum(check.verdict is verdict for check in self.checks) for verdict in Verdict}


def prove(scores: Sequence[Mapping[str, Any]], gate: GateConfig, *, narrower: Sequence[str] = ()) -> Proof:
    """The proof that rows of `scores` of one evaluation are; `narrower` is what only its config tells.

    A task or a control that was not evaluated is not computed: what was not tried proves nothing.
    """
    checks = [check for task in Task for check in judge(scores, gate, system="uniform", task=task)]
    refusals = [
        _refusal(judge(scores, gate, system=system, task=task), system, task, rules)
        for system, by_task in MUST_FAIL.items()
        for task, rules in by_task.items()
    ]
    return Proof(tuple(checks), tuple(refusals), (*_fewer_clips(checks), *looser_bounds(gate), *narrower))


def verdict_words(verdict: str, narrower: Sequence[str]) -> str:
    """A verdict, and by which gate where it is a narrower one.

    >>> verdict_words("passed", ["48 clips a task", "loss_gap 99"])
    'passed, by a narrower gate: 48 clips a task, loss_gap 99'
    """
    return f"{verdict}, by a narrower gate: {', '.join(narrower)}" if narrower else str(verdict)


def _fewer_clips(checks: Sequence[Check]) -> tuple[str, ...]:
    """What stands on fewer clips than it should, by the checks that stand on all there are."""
    whole = [check.score for check in checks if check.score is not None and check.rule.quantity in BESIDE]
    sides = (("n_generated", "clips a task"), ("n_reference", "real clips beside them"))
    fewest = [(min((row[side] for row in whole), default=CLIPS), words) for side, words in sides]
    return tuple(f"{count} {words}" for count, words in fewest if count < CLIPS)


def _refusal(checks: Sequence[Check], system: str, task: Task, rules: Sequence[str]) -> Refusal:
    """A rule that is asked of both streams is failed where one of them fails it."""
    by_rule = {rule: [check for check in checks if check.rule.name == rule] for rule in rules}
    failed = [rule for rule, found in by_rule.items() if any(check.verdict is Verdict.FAILED for check in found)]
    left = [rule for rule in rules if rule not in failed]
    open_checks = [check for rule in left for check in by_rule[rule] if check.verdict is Verdict.UNKNOWN]
    unknown = {check.rule.name: check.reason or "no reason is known" for check in open_checks}
    missed = [rule for rule in left if rule not in unknown]
    return Refusal(system, str(task), tuple(failed), tuple(missed), unknown)
