"""The command `plan`: what would be done. It imports neither prefect, ray nor torch, and asks no network."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flows.cli.model_words import model_words
from flows.cli.show import print_json, seconds, size, table
from flows.pace import rates_of
from uniform_core.build import build_run, require_items
from uniform_core.catalog import Catalog
from uniform_core.catalog.memory import bound_memory
from uniform_core.corpus.model_plan import plan_model
from uniform_core.corpus.plan import StagePlan, plan_stages
from uniform_core.corpus.unlisted import MissingList, list_differences, missing_lists, refusals
from uniform_core.settings import load_settings


def plan(arguments: argparse.Namespace) -> int:
    """Print for each stage how much is done, how much would be done, what it would cost; and what the model costs.

    Of lists that are not here it says what they were published with, and how they come; of the others, where they have
    not as many clips or labels as were published.
    """
    bound_memory()
    settings = load_settings()
    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    missing = missing_lists(config)
    if not missing:
        require_items(config)
    rates = rates_of(settings, config)
    stages = plan_stages(Catalog.open(settings), config, workers=settings.worker_cpus, rates=rates)
    named = arguments.stage or []
    asked = {*named, *(["fetch"] if "ingest" in named else [])}  # what is ingested has to come first
    rows = [stage for stage in stages if not asked or stage.stage in asked]
    differences = list_differences(config) if any(row.stage == "fetch" for row in rows) else []
    model = {row.stage: plan_model(config) for row in rows if row.stage == "train"}
    if arguments.json:
        lists = {
            "missing_lists": [asdict(one) for one in missing],
            "list_differences": differences,
            "refused": refusals(config),
        }
        more = {
            row.stage: ({"model": model[row.stage].as_dict()} if row.stage in model else {})
            | (lists if row.stage == "fetch" else {})
            for row in rows
        }
        print_json([row.as_dict() | more[row.stage] for row in rows])
        return 0
    print(table([_row(row) for row in rows]))
    print("\n" + _whose_times(rows, rates, config.preset))
    said = [*([_missing_words(missing)] if missing else []), *([_different(differences)] if differences else [])]
    for words in said + refusals(config):
        print(f"\n{words}")
    for costs in model.values():
        print(
            "\nthe model, by arithmetic\n"
            + "\n".join(f"{name:<20}{words}" for name, words in model_words(costs).items())
        )
    return 0


def _row(row: StagePlan) -> dict[str, Any]:
    """A stage for a person."""
    time = "?" if row.seconds is None else seconds(row.seconds)
    return {
        "stage": row.stage,
        "items": row.candidates,
        "done": row.already_done,
        "waiting": row.waiting,
        "to do": row.to_do,
        "unit": row.unit,
        "disk": size(row.bytes) if row.to_do else "–",
        "time": time if row.to_do else "–",
        "note": row.note,
    }


def _missing_words(missing: Sequence[MissingList]) -> str:
    """The lists that are not here, as a table with what can be said without them."""
    rows = [
        {"list": one.name, "of": one.dataset, "for": one.place, "published clips": one.published, "comes": one.comes}
        for one in missing
    ]
    return (
        "lists that are not here: clips are counted as they were published, and none is left out for a list to guard "
        f"against\n{table(rows)}\n`uniform ingest` brings what comes by itself, before anything else."
    )


def _different(differences: Sequence[str]) -> str:
    """Which lists are not as they were published: cut short, or another edition."""
    return "\n".join(["lists that are not as they were published:", *differences])


def _whose_times(rows: Sequence[StagePlan], rates: Mapping[str, float], preset: str) -> str:
    """Where the times of a plan come from, and which nobody knows."""
    own = [row.stage for row in rows if row.stage in rates]
    unknown = [row.stage for row in rows if row.seconds is None]
    others = [row.stage for row in rows if row.stage not in (*own, *unknown)]
    said = []
    if own:
        said.append(f"Times of {', '.join(own)} are as the last large {preset} run took on this root.")
    if others:
        said.append(f"Times of {', '.join(others)} are of two cores of a 2026 laptop, by preset tiny.")
    if unknown:
        said.append(f"Nobody knows the time of {', '.join(unknown)} until a {preset} run on this root has left it.")
    if "train" in unknown:
        said.append("What the model costs stands below.")
    return "\n".join(said)
