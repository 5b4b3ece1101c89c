"""What MLflow is told of the gate: tags for its verdict and what stands against it, metrics, and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from uniform_core.metrics.gate import Check, Verdict
from uniform_core.metrics.layers import extractor_of, made_clips
from uniform_core.metrics.proof import Proof

GATE_TAG: Final = "uniform.gate"
FAILED_TAG, UNKNOWN_TAG, CONTROLS_TAG = f"{GATE_TAG}.failed", f"{GATE_TAG}.not_computed", f"{GATE_TAG}.controls"


def gate_tags(proof: Proof, *, longest: int) -> dict[str, str]:
    """The verdict, with what makes the gate a narrower one; the names of what failed or could not be computed.

    A value has at most `longest` characters: names that are too many are counted. One with no names is left out.
    """
    refused = sum(refusal.verdict is Verdict.PASSED for refusal in proof.refusals)
    tags = {
        GATE_TAG: proof.words[:longest],
        FAILED_TAG: listed(_named(proof, Verdict.FAILED), longest=longest),
        UNKNOWN_TAG: listed(_named(proof, Verdict.UNKNOWN), longest=longest),
        CONTROLS_TAG: f"{refused} of {len(proof.refusals)} refused",
    }
    return {name: value for name, value in tags.items() if value}


def gate_metrics(proof: Proof) -> Iterator[tuple[str, float]]:
    """The number that each check judged: `gate/t2av/video fidelity.tinyvideo`; nothing of one without a number."""
    for check in proof.checks:
        if check.found is not None:
            yield f"gate/{check.task}/{check.rule.name}.{_extractor(check)}", check.found


def gate_tables(proof: Proof) -> Iterator[tuple[str, str]]:
    """`gate.csv` and `controls.csv`, name and text: MLflow shows such files as tables."""
    yield "gate.csv", _csv([_check_row(check) for check in proof.checks])
    yield "controls.csv", _csv([
        {
            "control": refusal.system,
            "task": refusal.task,
            "is refused as it must be": str(refusal.verdict),
            "fails": ", ".join(refusal.failed),
            "passes and must not": ", ".join(refusal.missed),
            "not computed": "; ".join(f"{rule}: {reason}" for rule, reason in refusal.unknown.items()),
        }
        for refusal in proof.refusals
    ])  # fmt: skip


def listed(names: Sequence[str], *, longest: int) -> str:
    """The names in one line; where that is too long, as many as fit, and how many are left out.

    >>> listed(["t2av class", "v2a class", "v2a onsets"], longest=30)
    't2av class, … and 2 more'
    """
    line = ", ".join(names)
    kept = len(names)
    while len(line) > longest and kept:
        kept -= 1
        line = ", ".join([*names[:kept], f"… and {len(names) - kept} more"])
    return line


def _named(proof: Proof, verdict: Verdict) -> list[str]:
    """The checks that came to this verdict; of a control, that it was let through or could not be judged."""
    checks = [
        f"{check.task} {check.rule.name}.{_extractor(check)}" for check in proof.checks if check.verdict is verdict
    ]
    controls = [f"control {refusal.system} {refusal.task}" for refusal in proof.refusals if refusal.verdict is verdict]
    return checks + controls


def _extractor(check: Check) -> str:
    """That of the score; the metric's name where nothing was measured."""
    return extractor_of(check.name) or check.name


def _check_row(check: Check) -> dict[str, Any]:
    score = check.score or {}
    return {
        "verdict": str(check.verdict),
        "task": check.task,
        "check": check.rule.name,
        "found": check.found,
        "wanted": f"{check.rule.side} {check.rule.bound:g}",
        **dict(zip(("found_low", "found_high"), check.interval or (None, None), strict=True)),
        "goal": check.rule.goal,
        "what": check.rule.words,
        "metric": check.name,
        **{name: score.get(name) for name in ("value", "low", "high", "p")},
        "n_generated": None if check.score is None else made_clips(check.score),
        "reason": check.reason,
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
