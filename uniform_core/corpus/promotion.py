"""When a model may take an alias: a rule, and what it says of a candidate beside the model that has the alias now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from uniform_core.corpus.comparison import Comparison, ScoreDifference
from uniform_core.errors import ConfigError, nearest
from uniform_core.metrics.direction import better as way_of
from uniform_core.metrics.gate import Verdict
from uniform_core.metrics.proof import Proof
from uniform_core.types import Frozen

# As MLflow names a model's metric: `v2a/synchrony.tinysync.uniform_tiny`.
ScoreName = Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+$")]


class PromotionRule(Frozen):
    """What has to hold, all of it. Where nobody has the alias yet, scores need only be there.

    `gate`: the gate of the candidate's evaluation is passed. `better`: the 95 % interval of the difference lies wholly
    on the better side. `not_worse`: it does not lie wholly on the worse side; a difference without an interval fails.
    """

    gate: bool = True
    better: tuple[ScoreName, ...] = ()
    not_worse: tuple[ScoreName, ...] = ()

    @model_validator(mode="after")
    def _asks_something(self) -> PromotionRule:
        if not self.gate and not self.better:
            raise ValueError("it must ask for the gate, or for a score that is better: else anything would be promoted")
        if twice := sorted({*self.better} & {*self.not_worse}):
            raise ValueError(f"{twice[0]} is asked to be better, and not worse")
        return self


@dataclass(frozen=True)
class Condition:
    """One part of a rule, whether it holds, and what was found."""

    asked: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Decision:
    """What a rule says: every condition in its order."""

    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        return all(condition.holds for condition in self.conditions)


def decide(
    rule: PromotionRule, *, proof: Proof, scores: Sequence[Mapping[str, Any]], against: Comparison | str | None
) -> Decision:
    """What the rule says of a candidate with these scores.

    `against` is its comparison with who has the alias (the base), None where nobody has, or why there is none. Raises
    ConfigError for a score that the candidate's evaluation does not know, or of which neither way is better.
    """
    own = {f"{row['task']}/{row['name']}": row for row in scores if row["system"] == "uniform"}
    for name in (*rule.better, *rule.not_worse):
        _require_directed(name, own)
    return Decision(tuple(_conditions(rule, proof, own, against)))


def _conditions(
    rule: PromotionRule, proof: Proof, own: Mapping[str, Mapping[str, Any]], against: Comparison | str | None
) -> Iterator[Condition]:
    if rule.gate:
        yield Condition("gate passed", proof.verdict is Verdict.PASSED, f"gate {proof.words}")
    for name in rule.better:
        yield _compared(f"{name} better", name, own[name], against, wants_better=True)
    for name in rule.not_worse:
        yield _compared(f"{name} not worse", name, own[name], against, wants_better=False)


def _compared(
    asked: str, name: str, row: Mapping[str, Any], against: Comparison | str | None, *, wants_better: bool
) -> Condition:
    if row["value"] is None:
        return Condition(asked, False, f"not computed: {row['reason']}")
    if against is None:
        return Condition(asked, True, f"{row['value']:.4g}, and nobody has the alias yet")
    if isinstance(against, str):
        return Condition(asked, False, against)
    for score in against.scores:
        if f"{score.task}/{score.name}" == name:
            holds = score.verdict == "better" if wants_better else score.low is not None and score.verdict != "worse"
            return Condition(asked, holds and not score.remark, _words(score))
    reason = next((one.reason for one in against.incomparable if f"{one.task}/{one.name}" == name), "not measured")
    return Condition(asked, False, f"not comparable: {reason}")


def _words(score: ScoreDifference) -> str:
    """Both values, and the difference with its interval."""
    between = "no interval" if score.low is None else f"{score.low:.4g} to {score.high:.4g}"
    pairs = "" if score.pairs is None else f", {score.pairs} clips"
    remark = f"; {score.remark}" if score.remark else ""
    values = f"{score.other['value']:.4g} against {score.base['value']:.4g}"
    return f"{values}: difference {score.difference:.4g} ({between}{pairs}){remark}"


def _require_directed(name: str, own: Mapping[str, Any]) -> None:
    if name not in own:
        raise ConfigError(
            f"promotion rule, {name}",
            expected="a score of the model's own evaluation, as TASK/METRIC.EXTRACTOR.PROTOCOL",
            found="none of that name",
            fix=nearest(name, own),
        )
    if not way_of(name.partition("/")[2]):
        raise ConfigError(
            f"promotion rule, {name}",
            expected="a score that is better the higher or the lower it is",
            found="one of which neither way is better",
            fix="Name another score; the gate judges this one.",
        )
