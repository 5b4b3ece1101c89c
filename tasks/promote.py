"""Promote: give an alias of MLflow's registry to a model where a stated rule holds, and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from tasks.registry import Registry, Version
from tasks.results import mlflow_runs
from tasks.telling import checkpoint_tags, config_tags
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.comparison import Comparison, compare
from uniform_core.corpus.evaluation import kept_scores, wanted_scores
from uniform_core.corpus.evaluations import Contender, Evaluation, evaluations, find_evaluation
from uniform_core.corpus.promotion import Decision, PromotionRule, decide
from uniform_core.corpus.proof import proof_of
from uniform_core.errors import IntegrityError, WorkFailedError
from uniform_core.settings import Settings

REGISTERED: Final = "uniform"  # the name of the registered model
Outcome = Literal["promoted", "would be promoted", "has it already", "not promoted"]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Promotion:
    """What became of an alias. `version` is the candidate's, None where it was not registered; `holder` who had it."""

    alias: str
    model_id: str
    evaluation: str
    outcome: Outcome
    decision: Decision
    version: str | None
    holder: Version | None

    @property
    def has_alias(self) -> bool:
        """Whether the candidate has it, or would have."""
        return self.outcome != "not promoted"

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"holds": self.decision.holds}


def promote(
    settings: Settings,
    catalog: Catalog,
    config: RunConfig,
    *,
    model_id: str,
    rule: PromotionRule,
    alias: str,
    name: str = REGISTERED,
    dry_run: bool = False,
) -> Promotion:
    """Give the alias to the config's model where the rule holds; with `dry_run` only say what would be done.

    A model that has the alias keeps it, whatever the rule says now. Raises WorkFailedError where the model has no
    scores, IntegrityError where its checkpoint is gone, ConfigError for a rule that asks for unknown scores,
    ServiceError.
    """
    rows = list(kept_scores(catalog, wanted_scores(catalog, config, model_id=model_id)).values())
    folder = settings.checkpoints_dir / model_id / "model"
    _require(rows, model_id)
    registry = Registry.open(settings, name)
    with registry.alone():
        holder = registry.holder(alias)
        evaluation = rows[0]["stage_fp"]
        against = _against(catalog, holder, evaluation)
        decision = decide(rule, proof=proof_of(config, rows), scores=rows, against=against)

        def ended(outcome: Outcome, version: str | None) -> Promotion:
            return Promotion(alias, model_id, evaluation, outcome, decision, version, holder)

        if holder is not None and holder.model_id == model_id:
            return ended("has it already", holder.number)
        if not decision.holds:
            return ended("not promoted", None)
        if dry_run:
            return ended("would be promoted", None)
        if not folder.is_dir():
            raise IntegrityError(
                f"model {model_id[:12]}",
                expected=f"its checkpoint at {folder}",
                found="none",
                fix="Run `uniform catalog verify --repair`, then `uniform train`.",
            )
        runs = mlflow_runs(settings, config, model_id, rows)
        tags = {**config_tags(config), **checkpoint_tags(catalog, model_id)}
        version = registry.register(model_id, folder=folder, run_id=runs.get("model"), tags=tags)
        registry.give(alias, version, why=_why(rule, decision, holder), evaluation=evaluation)
        return ended("promoted", version.number)


def _require(rows: Rows, model_id: str) -> None:
    if not rows:
        raise WorkFailedError(
            f"promotion of model {model_id[:12]}",
            expected="scores of it, on the clips that the catalog has",
            found="none",
            fix="Run `uniform run` with the same preset, data and settings first.",
        )


def _against(catalog: Catalog, holder: Version | None, evaluation: str) -> Comparison | str | None:
    """The candidate's evaluation beside that of who has the alias; None where nobody has, else why there is none."""
    if holder is None:
        return None
    known = evaluations(catalog)
    ours = find_evaluation(evaluation, known)
    theirs = None if ours is None else _evaluation_of(holder, known, like=ours)
    if theirs is None or ours is None:
        return f"version {holder.number} has the alias, and this catalog has no scores of it"
    return compare(
        catalog,
        Contender(f"version {holder.number}", theirs, "uniform"),
        Contender("candidate", ours, "uniform"),
    )


def _evaluation_of(holder: Version, known: Sequence[Evaluation], *, like: Evaluation) -> Evaluation | None:
    """Of who has the alias the newest evaluation on the same real clips; else the one that it was promoted by."""
    own = [one for one in known if one.model_id == holder.model_id]
    same = [one for one in own if one.clips_digest == like.clips_digest]
    promoted_by = [one for one in known if one.evaluation == holder.evaluation]
    return next(iter([*same, *promoted_by, *own]), None)


def _why(rule: PromotionRule, decision: Decision, holder: Version | None) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "found": {condition.asked: condition.found for condition in decision.conditions},
        "instead of version": None if holder is None else holder.number,
        "rule": rule.model_dump(mode="json"),
    }
