"""The gate in words: what `uniform run` and `uniform proof` print of it, and what `--json` gives."""

from __future__ import annotations

from typing import Any

from flows.cli.show import table
from flows.frozen import Beside
from uniform_core.metrics.gate import Check, Rule, Verdict
from uniform_core.metrics.layers import made_clips
from uniform_core.metrics.proof import Proof, Refusal


def proof_text(proof: Proof) -> str:
    """The checks as a table, the controls as another, and the verdict."""
    return "\n\n".join(
        [
            table([_check_row(check) for check in proof.checks]),
            table([_refusal_row(refusal) for refusal in proof.refusals]),
            verdict_text(proof),
        ]
    )


def verdict_text(proof: Proof) -> str:
    """The verdict in one sentence, and what stands against it."""
    counts = proof.counts()
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    told = f"of {len(proof.checks)} checks {said}; {_controls_text(proof)}"
    lines = [f"gate {proof.words}{'; ' if proof.narrower else ': '}{told}"]
    for check in proof.checks:
        if check.verdict is not Verdict.PASSED:
            found = check.reason if check.found is None else f"{check.found:.4g}, wanted {bound_text(check.rule)}"
            lines.append(f"  {check.verdict}: {check.task} {check.rule.name} ({check.name}): {found}")
    for refusal in proof.refusals:
        if refusal.missed:
            rules = ", ".join(refusal.missed)
            lines.append(f"  the gate let {refusal.system} through at {refusal.task}: {rules}")
        for rule, reason in refusal.unknown.items():
            lines.append(f"  not computed: control {refusal.system} at {refusal.task}, {rule}: {reason}")
    return "\n".join(lines)


def _controls_text(proof: Proof) -> str:
    refused = sum(refusal.verdict is Verdict.PASSED for refusal in proof.refusals)
    return f"{refused} of {len(proof.refusals)} controls refused as they must be"


def bound_text(rule: Rule) -> str:
    """The bound, and which side of it is right."""
    goal = "" if rule.goal is None else f" (goal {rule.goal:g})"
    return f"{rule.side} {rule.bound:g}{goal}"


def beside_text(night: Beside) -> str:
    """How a run stands beside the frozen bounds of a night."""
    lines = [f"beside the night: of {night.compared} checks {len(night.worse)} worse than their frozen bounds"]
    lines += [
        f"  {row.task} {row.check} ({row.score}): {row.found:.4g}, frozen {row.frozen:.4g}" for row in night.worse
    ]
    if not night.same_config:
        lines.append(
            "  the runs of that night had another config, seeds aside: what they reached is no bound of this one"
        )
    return "\n".join(lines)


def _check_row(check: Check) -> dict[str, Any]:
    low, high = check.interval or (None, None)
    return {
        "task": check.task,
        "check": check.rule.name,
        "found": check.found,
        "low": low,
        "high": high,
        "wanted": bound_text(check.rule),
        "verdict": str(check.verdict),
        "what": check.rule.words,
        "score": check.name,
        "value": None if check.score is None else check.score["value"],
        "n": None if check.score is None else made_clips(check.score),
    }


def _refusal_row(refusal: Refusal) -> dict[str, Any]:
    return {
        "control": refusal.system,
        "task": refusal.task,
        "refused": {Verdict.PASSED: "yes", Verdict.FAILED: "NO", Verdict.UNKNOWN: "not computed"}[refusal.verdict],
        "fails": ", ".join(refusal.failed) or None,
        "should fail too": ", ".join((*refusal.missed, *refusal.unknown)) or None,
    }


def proof_json(proof: Proof) -> dict[str, Any]:
    """The proof as plain values. A check has what was judged, with its interval; under `score`, where that is from."""
    return {
        "verdict": str(proof.verdict),
        "narrower": list(proof.narrower),
        "checks": [_check_json(check) for check in proof.checks],
        "controls": [
            {
                "system": refusal.system,
                "task": refusal.task,
                "verdict": str(refusal.verdict),
                "failed": list(refusal.failed),
                "missed": list(refusal.missed),
                "unknown": dict(refusal.unknown),
            }
            for refusal in proof.refusals
        ],
    }


def _check_json(check: Check) -> dict[str, Any]:
    low, high = check.interval or (None, None)
    score = check.score or {}
    return {
        "task": check.task,
        "check": check.rule.name,
        "quantity": check.rule.quantity,
        "found": check.found,
        "found_low": low,
        "found_high": high,
        "bound": check.rule.bound,
        "at_least": check.rule.is_at_least,
        "goal": check.rule.goal,
        "reaches_goal": check.reaches_goal,
        "verdict": str(check.verdict),
        "reason": check.reason,
        "score": {
            "name": check.name,
            **{name: score.get(name) for name in ("value", "low", "high", "p")},
            "n_generated": None if check.score is None else made_clips(check.score),
        },
    }
