"""The gate's logic on rows of its own: sides of bounds, ratios, what is not computed, verdicts, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from flows.proof import bound_text, proof_json, proof_text, verdict_text
from uniform_core.build import build_run
from uniform_core.metrics import proof as proof_module
from uniform_core.metrics.coverage import CoverageConfig
from uniform_core.metrics.gate import BESIDE, CONTROLS, GateConfig, Rule, Verdict, judge, rules_of, words_needed
from uniform_core.metrics.onset_hits import OnsetHitsConfig
from uniform_core.metrics.proof import MUST_FAIL, prove
from uniform_core.types import Modality, Task

GATE = GateConfig()
RULES = rules_of(GATE)
NETS = {Modality.VIDEO: "tinyvideo", Modality.AUDIO: "tinymel"}


def names_of(rule: Rule, task: Task) -> list[str]:
    """The names of the scores that a rule is asked of: one for each stream that must be judged, else one of both."""
    return [f"{rule.metric}.{NETS[stream]}.test" for stream in rule.streams_of(task)] or [f"{rule.metric}.both.test"]


def row(
    rule: Rule, found: float | None, *, system: str = "uniform", task: Task = Task.V2A, n: int = 192
) -> dict[str, Any]:
    """A row of `scores` in which the quantity of a rule is this number (over 2.0 where it is a ratio)."""
    quantity = "value" if rule.quantity in BESIDE else rule.quantity
    number = None if found is None else found * (2.0 if rule.quantity in BESIDE else 1.0)
    return {
        "name": names_of(rule, task)[-1],
        "system": system,
        "task": str(task),
        "value": 0.5,
        "low": None,
        "high": None,
        "p": None,
        "reason": None,
        "n_generated": n,
        "n_reference": 192,
        quantity: number,
    }


def beside(rule: Rule, *, value: float = 2.0, n: int = 192, n_reference: int = 192) -> list[dict[str, Any]]:
    """The rows that a ratio is taken to, one for each score that the rule is asked of."""
    if rule.quantity not in BESIDE:
        return []
    numbers = {"value": value, "n_generated": n, "n_reference": n_reference}
    names = dict.fromkeys(name for task in rule.tasks for name in names_of(rule, task))
    return [
        {**row(rule, 1.0), "name": name, "system": BESIDE[rule.quantity], "task": "all", **numbers} for name in names
    ]


def verdict_of(rule: Rule, found: float | None, **change: Any) -> Verdict:
    task = rule.tasks[-1]  # of which one stream is made, where the rule is asked of each
    rows = [row(rule, found, task=task), *beside(rule, **change)]
    [check] = [check for check in judge(rows, GATE, system="uniform", task=task) if check.rule == rule]
    return check.verdict


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_passed_at_its_bound_unless_it_asks_for_more_and_failed_beyond_it(rule: Rule) -> None:
    step = 1e-6 if rule.is_at_least else -1e-6
    assert verdict_of(rule, rule.bound) is (Verdict.FAILED if rule.side == ">" else Verdict.PASSED)
    assert verdict_of(rule, rule.bound + step) is Verdict.PASSED
    assert verdict_of(rule, rule.bound - step) is Verdict.FAILED


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.quantity in BESIDE], ids=lambda rule: rule.name)
def test_a_ratio_is_of_equal_numbers_of_clips_and_of_something(rule: Rule) -> None:
    assert verdict_of(rule, 1.0) is not Verdict.UNKNOWN
    assert verdict_of(rule, 1.0, n=48) is Verdict.UNKNOWN
    assert verdict_of(rule, 1.0, n_reference=96) is Verdict.UNKNOWN
    assert verdict_of(rule, 1.0, value=0.0) is Verdict.UNKNOWN
    alone = list(judge([row(rule, 1.0, task=rule.tasks[-1])], GATE, system="uniform", task=rule.tasks[-1]))
    [check] = [check for check in alone if check.rule == rule]
    assert check.verdict is Verdict.UNKNOWN
    assert BESIDE[rule.quantity] in (check.reason or "")


def test_what_was_not_measured_says_so() -> None:
    checks = judge([], GATE, system="uniform", task=Task.T2AV)
    assert {check.verdict for check in checks} == {Verdict.UNKNOWN}
    assert {check.reason for check in checks} == {"it was not evaluated at this task"}
    one = judge([row(RULES[0], 1.0, task=Task.T2AV)], GATE, system="uniform", task=Task.T2AV)
    assert {check.reason for check in one[1:]} == {"this evaluation has no such metric"}
    null = {**row(RULES[0], None, task=Task.T2AV), "value": None, "reason": "too few clips"}
    [check] = [c for c in judge([null], GATE, system="uniform", task=Task.T2AV) if c.rule == RULES[0]]
    assert check.reason == "too few clips"


def test_a_rule_is_asked_of_every_score_of_its_metric() -> None:
    [rule] = [rule for rule in RULES if rule.name == "class"]
    rows = [row(rule, 0.9), {**row(rule, 0.1), "name": "class_accuracy.other.test"}]
    found = [check.verdict for check in judge(rows, GATE, system="uniform", task=Task.V2A) if check.rule == rule]
    assert sorted(found) == [Verdict.FAILED, Verdict.PASSED]


def test_the_picture_is_judged_before_the_sound() -> None:
    [rule] = [rule for rule in RULES if rule.name == "class"]
    names = [f"class_accuracy.{net}.test" for net in ("tinymel", "tinyvideo")]
    rows = [{**row(rule, 0.9, task=Task.T2AV), "name": name} for name in names]
    found = [check.name for check in judge(rows, GATE, system="uniform", task=Task.T2AV) if check.rule == rule]
    assert found == names[::-1]


def test_a_goal_is_told_and_decides_nothing() -> None:
    [rule] = [rule for rule in RULES if rule.name == "audio fidelity"]
    rows = [row(rule, 7.0), *beside(rule)]
    [check] = [check for check in judge(rows, GATE, system="uniform", task=Task.V2A) if check.rule == rule]
    assert (check.verdict, check.reaches_goal) == (Verdict.PASSED, False)
    assert bound_text(rule) == "≤ 10 (goal 5)"


def rows_of(system: str, *, passes: bool) -> list[dict[str, Any]]:
    """Rows of a system that is at every bound of every task (just above it where it must be), or far beyond it."""
    by_name: dict[tuple[str, Task], dict[str, Any]] = {}
    for rule in RULES:
        within = 1e-6 if rule.side == ">" else 0.0
        beyond = -10.0 if rule.is_at_least else 10.0
        for task in rule.tasks:
            for name in names_of(rule, task):
                new = row(rule, rule.bound + (within if passes else beyond), system=system, task=task)
                new["name"] = name
                quantity = "value" if rule.quantity in BESIDE else rule.quantity
                by_name.setdefault((new["name"], task), new)[quantity] = new[quantity]
    return list(by_name.values())


def passing() -> list[dict[str, Any]]:
    """Rows of a model that passes every check, of controls that pass none, and of what they are compared with."""
    controls = [row for system in MUST_FAIL for row in rows_of(system, passes=False)]
    others = [other for rule in RULES for other in beside(rule)]
    return [*rows_of("uniform", passes=True), *controls, *others]


def without(system: str) -> list[dict[str, Any]]:
    return [row for row in passing() if row["system"] != system]


def test_a_proof_is_passed_where_every_check_is() -> None:
    proof = prove(passing(), GATE)
    assert proof.verdict is Verdict.PASSED
    assert len(proof.refusals) == sum(len(by_task) for by_task in MUST_FAIL.values())
    assert "gate passed" in verdict_text(proof)
    assert proof_json(proof)["verdict"] == "passed"


@pytest.mark.parametrize("system", MUST_FAIL)
def test_a_control_that_was_not_evaluated_leaves_the_proof_open(system: str) -> None:
    proof = prove(without(system), GATE)
    assert proof.verdict is Verdict.UNKNOWN
    assert {refusal.system for refusal in proof.refusals if refusal.unknown} == {system}


ASKED_OF = [(rule, task, stream) for rule in RULES for task in rule.tasks for stream in rule.streams_of(task)]


@pytest.mark.parametrize(("rule", "task", "stream"), ASKED_OF, ids=lambda value: getattr(value, "name", None))
@pytest.mark.parametrize("instead", ["nothing", "the other net"])
def test_a_stream_that_was_not_measured_leaves_the_proof_open(
    rule: Rule, task: Task, stream: Modality, instead: str
) -> None:
    """Nor does it help to measure the other stream by two nets."""
    rows = passing()
    [own] = [
        row
        for row in rows
        if (row["name"], row["task"], row["system"]) == (f"{rule.metric}.{NETS[stream]}.test", str(task), "uniform")
    ]
    rows.remove(own)
    [other] = set(Modality) - {stream}
    if instead == "the other net":
        name = f"{rule.metric}.{NETS[other]}.second"
        rows += [{**own, "name": name}, *({**of_codec, "name": name} for of_codec in beside(rule)[:1])]
    proof = prove(rows, GATE)
    assert proof.verdict is Verdict.UNKNOWN
    [unknown] = [check for check in proof.checks if check.verdict is Verdict.UNKNOWN]
    assert (unknown.rule, unknown.task) == (rule, str(task))
    is_alone = instead == "nothing" and rule.scores_of(task) == 1
    lost = {Modality.VIDEO: "picture", Modality.AUDIO: "sound"}[stream]
    assert unknown.reason == (
        "this evaluation has no such metric"
        if is_alone
        else f"nothing that this evaluation has of it judges the {lost}"
    )


EACH, TEXT, FROM_PICTURE = tuple(Task), (Task.T2AV,), (Task.V2A,)
OF_PICTURES, OF_SOUNDS, FROM_A_STREAM = (Task.T2AV, Task.A2V), (Task.T2AV, Task.V2A), (Task.A2V, Task.V2A)
VIDEO, AUDIO, BOTH = ("video",), ("audio",), ("video", "audio")
# Metric, what is judged of it, side, bound, goal, tasks, streams that a score each must judge where a task makes them.
ISSUE: dict[str, tuple[str, str, str, float, float | None, tuple[Task, ...], tuple[str, ...]]] = {
    "video fidelity": ("fvd", "over_codec", "≤", 3.0, None, OF_PICTURES, VIDEO),
    "audio fidelity": ("fad", "over_codec", "≤", 10.0, 5.0, OF_SOUNDS, AUDIO),
    "enough diversity": ("diversity_least", "value", "≥", 0.5, None, EACH, BOTH),
    "no more diversity": ("diversity_most", "value", "≤", 1.5, None, EACH, BOTH),
    "coverage": ("coverage", "over_real", "≥", 0.5, None, EACH, BOTH),
    "class": ("class_accuracy", "value", "≥", 0.80, None, EACH, BOTH),
    "colour as asked": ("attribute_colour", "p", "≤", 1e-3, None, TEXT, ()),
    "size as asked": ("attribute_size", "p", "≤", 1e-3, None, TEXT, ()),
    "pitch as asked": ("attribute_pitch", "p", "≤", 1e-3, None, TEXT, ()),
    "synchrony given": ("synchrony", "low", ">", 0.60, 0.75, FROM_A_STREAM, ()),
    "synchrony by text": ("synchrony", "low", ">", 0.55, 0.70, TEXT, ()),
    "synchrony of own partners": ("synchrony", "p", "≤", 1e-3, None, EACH, ()),
    "onsets": ("onset_f1_gain", "value", "≥", 0.10, None, FROM_PICTURE, ()),
    "onsets of own partners": ("onset_f1_gain", "p", "≤", 1e-3, None, FROM_PICTURE, ()),
    "no copying": ("copying_z", "value", "≥", -3.0, None, EACH, BOTH),
    "few near copies": ("copied_share", "value", "≤", 0.03, None, EACH, BOTH),
    "no gap of losses": ("loss_gap", "value", "≤", 1.5, None, EACH, ()),
}
MEMORY = ("no copying", "few near copies")
STEP_TEXT = ("synchrony by text", "synchrony of own partners")
STEP_GIVEN = ("synchrony given", "synchrony of own partners")
STEP_HEARD = (*STEP_GIVEN, "onsets", "onsets of own partners")
# Control, task, the rules that it has to fail there.
REFUSED: dict[str, dict[str, tuple[str, ...]]] = {
    "retrieval": {"t2av": MEMORY, "a2v": MEMORY, "v2a": MEMORY},
    "copier": {"t2av": MEMORY, "a2v": MEMORY, "v2a": MEMORY},
    "prototypes": {"t2av": ("coverage", *MEMORY), "a2v": ("coverage", *MEMORY), "v2a": ("coverage", *MEMORY)},
    "class_mean": {
        "t2av": ("video fidelity", "audio fidelity", "enough diversity", "coverage"),
        "a2v": ("video fidelity", "enough diversity", "coverage"),
        "v2a": ("audio fidelity", "enough diversity", "coverage"),
    },
    "text_blind": {"t2av": ("class", "no more diversity", "colour as asked", "size as asked", "pitch as asked")},
    "given_blind": {
        "a2v": ("class", "no more diversity", *STEP_GIVEN),
        "v2a": ("class", "no more diversity", *STEP_HEARD),
    },
    "shuffled": {"t2av": STEP_TEXT, "a2v": STEP_GIVEN, "v2a": STEP_HEARD},
}


def test_the_rules_are_those_of_the_issue() -> None:
    found = {
        r.name: (
            *(r.metric, r.quantity, r.side, r.bound, r.goal, r.tasks),
            tuple(str(m) for m in Modality if any(m in r.streams_of(task) for task in r.tasks)),
        )
        for r in RULES
    }
    assert found == ISSUE
    for rule in RULES:
        for task in rule.tasks:
            asked = [stream for stream in ISSUE[rule.name][6] if Modality(stream) in task.made]
            assert [str(stream) for stream in rule.streams_of(task)] == asked
            assert rule.scores_of(task) == max(1, len(asked))


def test_the_controls_have_to_fail_what_the_issue_is_about() -> None:
    found = {system: {str(task): rules for task, rules in by_task.items()} for system, by_task in MUST_FAIL.items()}
    assert found == REFUSED


@pytest.mark.parametrize("preset", ["tiny", "tiny_iddpm"])
def test_the_presets_ask_what_the_issue_does(preset: str) -> None:
    config = build_run(preset)
    assert config.evaluate.gate == GATE
    assert (config.evaluate.clips_per_task, config.evaluate.reference_clips) == (192, 192)
    assert config.evaluate.text_for == (Task.T2AV,), "V2A and A2V are made without text"
    assert {m.k for m in config.metrics if isinstance(m, CoverageConfig)} == {5}
    [onsets] = [m for m in config.metrics if isinstance(m, OnsetHitsConfig)]
    assert onsets.within_s == 1 / config.spec.video_rate_hz, "one frame"


def test_one_check_that_fails_or_is_not_computed_decides() -> None:
    rows = passing()
    asked = ("class_accuracy.tinymel.test", "v2a", "uniform")
    [first] = [row for row in rows if (row["name"], row["task"], row["system"]) == asked]
    first["value"] = 0.1
    proof = prove(rows, GATE)
    assert proof.verdict is Verdict.FAILED
    assert "failed: v2a class (class_accuracy.tinymel.test): 0.1, wanted ≥ 0.8" in verdict_text(proof)
    first.update(value=None, reason="no clips")
    assert prove(rows, GATE).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("task", Task)
def test_a_task_that_was_not_evaluated_leaves_the_proof_open(task: Task) -> None:
    """Else a run would pass by leaving out the task that it cannot do."""
    proof = prove([row for row in passing() if row["task"] != str(task)], GATE)
    assert proof.verdict is Verdict.UNKNOWN
    unknown = [check for check in proof.checks if check.verdict is Verdict.UNKNOWN]
    assert {check.rule.name for check in unknown} == {rule.name for rule in RULES if task in rule.tasks}
    assert {(check.task, check.reason) for check in unknown} == {(str(task), "it was not evaluated at this task")}
    assert f"not computed: {task} no copying (copying_z): it was not evaluated at this task" in verdict_text(proof)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"loss_gap": 99.0}, ("loss_gap 99",)),
        ({"loss_gap": 1.2}, ()),  # asks for more
        ({"copying_z": -50.0, "copied_share": 1.0}, ("copying_z -50", "copied_share 1")),
        ({"coverage": 0.1}, ("coverage 0.1",)),
        ({"synchrony_given": 0.5, "synchrony_text": 0.6}, ("synchrony_given 0.5",)),
        ({"synchrony_text_goal": 0.1}, ("synchrony_text_goal 0.1",)),
        ({"p": 0.05}, ("p 0.05",)),
    ],
)
def test_a_gate_with_looser_bounds_says_so(changed: dict[str, float], words: tuple[str, ...]) -> None:
    proof = prove(passing(), GateConfig(**changed))
    assert proof.narrower == words
    said = verdict_text(proof)
    assert said.startswith(f"gate {proof.verdict}, by a narrower gate: {', '.join(words)}; of 42 checks") is bool(words)


@pytest.mark.parametrize("bound", GateConfig.model_fields)
def test_every_bound_that_is_loosened_is_told(bound: str) -> None:
    value = getattr(GATE, bound)
    both = [GATE.model_copy(update={bound: value + change}) for change in (-0.01, 0.01)]
    assert sorted(len(prove([], gate).narrower) for gate in both) == [0, 1]


def test_a_gate_of_fewer_clips_says_so() -> None:
    few = [{**row, "n_generated": 48, "n_reference": 96} for row in passing()]
    proof = prove(few, GATE, narrower=["text for a2v"])
    assert proof.verdict is Verdict.PASSED
    assert proof.words == "passed, by a narrower gate: 48 clips a task, 96 real clips beside them, text for a2v"
    assert proof_json(proof)["narrower"] == list(proof.narrower)
    assert prove(passing(), GATE).words == "passed"


def test_the_interval_of_a_check_is_in_the_units_of_what_it_judged() -> None:
    rows = passing()
    for row in rows:
        row |= {"low": 0.7 if row["low"] is None else row["low"], "high": 0.9}
    by_rule = {check["check"]: check for check in proof_json(prove(rows, GATE))["checks"] if check["task"] == "v2a"}
    fad, accuracy, low, p = (
        by_rule[name] for name in ("audio fidelity", "class", "synchrony given", "onsets of own partners")
    )
    assert (fad["found"], fad["score"]["value"]) == (10.0, 20.0)
    assert (fad["found_low"], fad["found_high"]) == (0.35, 0.45), "over the codec round trip's 2.0, as what was found"
    assert (fad["score"]["low"], fad["score"]["high"]) == (0.7, 0.9)
    assert (accuracy["found_low"], accuracy["found_high"]) == (0.7, 0.9)
    for check in (low, p):
        assert (check["found_low"], check["found_high"], check["score"]["high"]) == (None, None, 0.9)
    assert (fad["score"]["name"], fad["score"]["n_generated"]) == ("fad.tinymel.test", 192)


def test_a_control_that_gets_through_fails_the_proof_and_is_named() -> None:
    proof = prove([*without("shuffled"), *rows_of("shuffled", passes=True)], GATE)
    assert {check.verdict for check in proof.checks} == {Verdict.PASSED}
    assert proof.verdict is Verdict.FAILED
    missed = [refusal.missed for refusal in proof.refusals if refusal.missed]
    assert missed == list(MUST_FAIL["shuffled"].values())
    assert "the gate let shuffled through at v2a" in verdict_text(proof)
    assert "NO" in proof_text(proof)


def test_a_control_that_could_not_be_computed_leaves_the_proof_open() -> None:
    lost = {"value": None, "low": None, "p": None, "reason": "no classes"}
    own = [{**row, **lost} for row in rows_of("shuffled", passes=False)]
    proof = prove([*without("shuffled"), *own], GATE)
    assert proof.verdict is Verdict.UNKNOWN
    open_ones = [refusal for refusal in proof.refusals if refusal.unknown]
    assert {refusal.system for refusal in open_ones} == {"shuffled"}
    assert {reason for refusal in open_ones for reason in refusal.unknown.values()} == {"no classes"}
    assert "not computed: control shuffled at v2a, onsets: no classes" in verdict_text(proof)
    assert not any(refusal.missed for refusal in open_ones)


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
    [refusal] = prove(rows, GATE).refusals
    assert refusal.verdict is expected


def test_nothing_that_was_judged_proves_nothing() -> None:
    assert prove([], GATE).verdict is Verdict.UNKNOWN


def test_what_is_named_exists() -> None:
    assert set(CONTROLS) | {"retrieval"} == set(MUST_FAIL)
    named = {(task, rule) for by_task in MUST_FAIL.values() for task, rules in by_task.items() for rule in rules}
    assert named <= {(task, rule.name) for rule in RULES for task in rule.tasks}
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert set(words_needed()) == {rule.metric for rule in RULES}
