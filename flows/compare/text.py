"""Comparisons as a person reads them on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flows.cli.show import plain, table
from uniform_core.corpus.comparison import ClipChange, Comparison, MeasureChange, ScoreDifference
from uniform_core.corpus.evaluations import SHORT, Contender
from uniform_core.metrics.direction import better

LOST = "no clip that both made has a number of its own"
Labels = Mapping[str, str]  # what each clip shows, by its id


def ends(comparison: Comparison, *, top: int) -> tuple[list[ClipChange], list[ClipChange]]:
    """Of each task the clips that improved most, and those that became worst, at most `top` each."""
    risen: list[ClipChange] = []
    fallen: list[ClipChange] = []
    for task in dict.fromkeys(change.task for change in comparison.clips):
        own = [change for change in comparison.clips if change.task == task]
        risen += [change for change in own if change.gain > 0][:top]
        fallen += [change for change in reversed(own) if change.gain < 0][:top]
    return risen, fallen


def comparison_text(comparisons: Sequence[Comparison], labels: Labels, *, top: int) -> str:
    """The whole output: what is compared, then of each other run its scores, its clips, and what cannot be compared."""
    parts = [table([_contender_row(one) for one in (comparisons[0].base, *(found.other for found in comparisons))])]
    for found in comparisons:
        parts.append(f"{plain(found.other.name)} against {plain(found.base.name)}")
        if found.scores:
            parts.append(table([_score_row(score) for score in found.scores]))
        parts.append(table([_measure_row(one) for one in found.measures]) if found.measures else LOST)
        for title, changes in zip(("better", "worse"), ends(found, top=top), strict=True):
            if changes:
                parts.append(f"clips that got {title}\n" + table([_clip_row(one, labels) for one in changes]))
        if found.incomparable:
            parts.append("not comparable\n" + table([asdict(one) for one in found.incomparable]))
    return "\n\n".join([*parts, WORDS])


WORDS = (
    "difference: other − base, with its 95 % interval; of scores with clips over the same clips (Student, and p of\n"
    "signs drawn at random), of others from the two intervals as if independent. Of many intervals one in twenty lies\n"
    "beside 0 by chance: p, Holm is p corrected for the number of scores here. gain: mean over a clip's measures, in\n"
    "standard deviations of differences."
)


def comparison_json(comparisons: Sequence[Comparison], labels: Labels, *, top: int) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "base": _contender_row(comparisons[0].base),
        "others": [
            {
                "other": _contender_row(found.other),
                "scores": [_score_json(score) for score in found.scores],
                "measures": [_measure_json(one) for one in found.measures],
                **{
                    title: [{**asdict(one), "label": labels.get(one.clip_id)} for one in changes]
                    for title, changes in zip(("got_better", "got_worse"), ends(found, top=top), strict=True)
                },
                "not_comparable": [asdict(one) for one in found.incomparable],
            }
            for found in comparisons
        ],
    }


def _contender_row(one: Contender) -> dict[str, Any]:
    return {
        "run": one.name,
        "evaluation": one.evaluation.evaluation[:SHORT],
        "model": (one.evaluation.model_id or "–")[:SHORT],
        "system": one.system,
        "scored, UTC": f"{one.evaluation.created_at:%Y-%m-%d %H:%M}",
    }


def _score_row(score: ScoreDifference) -> dict[str, Any]:
    return {
        "task": score.task,
        "score": score.name,
        "base": score.base["value"],
        "other": score.other["value"],
        "difference": score.difference,
        "low": score.low,
        "high": score.high,
        "p": score.p,
        "p, Holm": score.p_holm,
        "clips": score.pairs,
        "verdict": verdict_words(score),
    }


def verdict_words(score: ScoreDifference) -> str:
    """What the interval says of a score."""
    if score.remark:
        return f"{score.verdict or 'open'}, and {score.remark}"
    if score.low is None:
        return "no interval"
    return score.verdict or ("open" if better(score.name) else "neither way is better")


def _score_json(score: ScoreDifference) -> dict[str, Any]:
    numbers = ("value", "low", "high", "n_generated", "n_reference")
    sides = {name: {number: getattr(score, name)[number] for number in numbers} for name in ("base", "other")}
    of_both = ("task", "name", "difference", "low", "high", "p", "p_holm", "pairs", "verdict", "remark")
    return {name: getattr(score, name) for name in of_both} | sides | {"protocol_hash": score.base["protocol_hash"]}


def _measure_json(one: MeasureChange) -> dict[str, Any]:
    return {"task": one.task, "name": one.name, **asdict(one.difference), "direction": better(one.name)} | {
        name: getattr(one, name) for name in ("better", "worse", "same")
    }


def _measure_row(one: MeasureChange) -> dict[str, Any]:
    found = one.difference
    return {
        "task": one.task,
        "of single clips": one.name,
        "clips": found.n,
        **({name: getattr(one, name) if better(one.name) else None for name in ("better", "worse", "same")}),
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "p": found.p,
    }


def _clip_row(one: ClipChange, labels: Labels) -> dict[str, Any]:
    moved = sorted(one.measures, key=lambda measure: -abs(measure.other - measure.base))
    said = [f"{m.name.partition('.')[0]} {m.base:.3g} → {m.other:.3g}" for m in moved if better(m.name)]
    return {
        "task": one.task,
        "clip": one.clip_id[:SHORT] if one.name is None else plain(one.name),
        "class": labels.get(one.clip_id) or None,
        "gain": one.gain,
        "measures": ", ".join(said),
    }
