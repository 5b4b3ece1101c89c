"""The command that gives an alias to a model where a rule holds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pydantic import ValidationError

from flows.cli.show import print_json, table
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.promotion import PromotionRule
from uniform_core.corpus.samples import current_model_id
from uniform_core.errors import ConfigError
from uniform_core.settings import load_settings


def promote_model(arguments: argparse.Namespace) -> int:
    """Promote the model that this config gives, and print what the rule says of it. Exit code 1 where it does not hold.

    Raises ConfigError for a rule that asks for nothing or for unknown scores, WorkFailedError without scores,
    ServiceError.
    """
    rule = rule_of(gate=not arguments.any_gate, better=arguments.better, not_worse=arguments.not_worse)
    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    settings = load_settings()
    catalog = Catalog.open(settings)
    model_id = current_model_id(catalog, config)
    from tasks.promote import promote  # here: it imports MLflow, and a wrong word should not wait for it

    found = promote(
        settings,
        catalog,
        config,
        model_id=model_id,
        rule=rule,
        alias=arguments.alias,
        name=arguments.name,
        dry_run=arguments.dry_run,
    )
    if arguments.json:
        print_json(found.as_dict())
    else:
        print(table([{"asked": c.asked, "holds": c.holds, "found": c.found} for c in found.decision.conditions]))
        had = "nobody has it" if found.holder is None else f"version {found.holder.number} had it"
        print(f"\n{found.alias}: model {model_id[:12]} {found.outcome}; {had}")
    return 0 if found.has_alias else 1


def rule_of(*, gate: bool, better: Sequence[str], not_worse: Sequence[str]) -> PromotionRule:
    """The rule of these words. Raises ConfigError for one that is none."""
    try:
        return PromotionRule(gate=gate, better=tuple(better), not_worse=tuple(not_worse))
    except ValidationError as error:
        said = error.errors()[0]
        raise ConfigError(
            "promotion rule",
            expected="the gate, or scores as TASK/METRIC.EXTRACTOR.PROTOCOL (v2a/synchrony.tinysync.uniform_tiny)",
            found=f"{said['input']!r}: {said['msg']}" if isinstance(said["input"], str) else said["msg"],
            fix="`uniform proof` and `uniform query latest_scores` name the scores.",
        ) from error
