"""The command that prints the paper's tables beside our own numbers, once what they lack has been made."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from flows.cli.licences import say_licences
from flows.cli.show import print_json, table
from flows.cli.work import prefect_running
from flows.listing import list_data
from flows.tables.external import ExternalTables, ExternalWords
from flows.tables.files import was_told
from flows.tables.show import table_json, table_markdown, table_text
from flows.tables.state import TableReader, TableState, Words
from flows.tables.words import words_of_model
from tasks.preflight import require_parts
from uniform_core.catalog import Catalog
from uniform_core.corpus.samples import require_trained
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.files import expanded, write_text
from uniform_core.paper_tables import NUMBERS
from uniform_core.settings import Settings, ensure_home, load_settings

DEFAULT_PRESET = "tiny"


def tables(arguments: argparse.Namespace) -> int:
    """Make what the tables lack, then print them; with `--dry-run` only say what that would be.

    Raises ConfigError, StorageError, WorkFailedError where the model that they are of has not been trained.
    """
    numbers = list(NUMBERS) if "all" in arguments.numbers else list(dict.fromkeys(arguments.numbers))
    page = None if arguments.markdown is None else expanded(arguments.markdown, item="--markdown")
    settings = load_settings()
    catalog = Catalog.open(settings)
    words = _words(arguments, settings, catalog)
    reader = TableReader(catalog, words)
    list_data(settings, reader.config)
    _require_model(catalog, reader, arguments.run)
    said = ExternalWords(tuple(arguments.external), tuple(arguments.weights), arguments.allow_code)
    others = ExternalTables(settings, catalog, said)
    states = [others.beside(reader.table(number)) for number in numbers]
    if arguments.dry_run:
        _say_plan(states, as_json=arguments.json)
        return 0
    left = [state.table.number for state in states if not was_told(settings, state)]
    if left:
        trains = any(run.models_left for state in states for run in state.runs)
        _make(settings, reader, left, words, said, trains=trains)
        states = [others.beside(reader.table(number)) for number in numbers]
    preset = words[0]
    if page is not None:
        write_text(page, "\n".join(table_markdown(state, preset) for state in states))
    if arguments.json:
        print_json([table_json(state, preset) for state in states])
    else:
        print("\n\n\n".join(table_text(state, preset) for state in states))
    return 0


def _words(arguments: argparse.Namespace, settings: Settings, catalog: Catalog) -> Words:
    """The words of the runs: those of the call, or of the model that it names with what the call sets beside them."""
    if arguments.run is None:
        return arguments.preset, list(arguments.overrides), arguments.data
    if arguments.preset != DEFAULT_PRESET or arguments.data is not None:
        raise ConfigError(
            f"--run {arguments.run}",
            expected="neither --preset nor --data beside it: a model has those that it was made with",
            found=f"--preset {arguments.preset}" if arguments.data is None else f"--data {arguments.data}",
            fix="Leave one or the other out.",
        )
    preset, overrides, data = words_of_model(settings, catalog, arguments.run)
    return preset, [*overrides, *arguments.overrides], data


def _require_model(catalog: Catalog, reader: TableReader, wanted: str | None) -> None:
    """The model is there, and it is the one that was asked for. Raises WorkFailedError."""
    if wanted is not None and not reader.model_id.startswith(wanted):
        raise WorkFailedError(
            f"--run {wanted}",
            expected="the clips that the model was trained on, and the config that it was made with",
            found=f"others: they would give model {reader.model_id[:12]}",
            fix="Leave --set out, or train on the clips that are here now (`uniform run`).",
        )
    require_trained(catalog, reader.model_id)


def _make(
    settings: Settings,
    reader: TableReader,
    numbers: Sequence[str],
    words: Words,
    external: ExternalWords,
    *,
    trains: bool,
) -> None:
    """Make what these tables lack, and tell MLflow."""
    stages = ["sample", "evaluate", *(["train"] if trains else [])]
    require_parts(reader.config, stages=stages)
    ensure_home(settings)
    say_licences(reader.config, stages)
    with prefect_running(settings, trains=trains, evaluates=True):
        from flows.tables.flow import paper_tables  # here: a table that is there needs no Prefect

        others = (list(external.systems), list(external.weights), external.allow_code)
        paper_tables(list(numbers), *words, *others)


def _say_plan(states: Sequence[TableState], *, as_json: bool) -> None:
    """What would be made, run by run; and what these data cannot give."""
    rows = [row for state in states for row in _plan_rows(state)]
    if as_json:
        print_json(rows)
    else:
        print(table(rows))


def _plan_rows(state: TableState) -> list[dict[str, Any]]:
    made = [
        _plan_row(
            state,
            system="uniform",
            data=run.run.place.split,
            tasks=" ".join(run.config.evaluate.tasks),
            text=run.run.conditions[0].with_text,
            steps=run.run.conditions[0].steps,
            guidance=run.run.conditions[0].guidance,
            models_to_train=" ".join(run.models_left) or None,
            clips_to_make=run.clips_left,
            scores_to_make=run.scores_left,
        )
        for run in state.runs
    ]
    missing = [
        _plan_row(state, system="uniform", data=c.dataset, tasks=c.task.value, text=c.with_text, why_not=one.reason)
        for one in state.unavailable
        for c in one.conditions
    ]
    others = [
        _plan_row(
            state,
            system=one.name,
            data=one.real or one.column[1],
            tasks=one.column[0].value,
            scores_to_make=one.left,
            why_not="; ".join(dict.fromkeys(why for _, why in one.missing)) or None,
        )
        for one in state.externals
    ]
    return [*made, *missing, *others]


PLANNED = (
    *("system", "data", "tasks", "text", "steps", "guidance"),
    *("models_to_train", "clips_to_make", "scores_to_make", "why_not"),
)


def _plan_row(state: TableState, **known: Any) -> dict[str, Any]:
    return {"table": state.table.number} | {name.replace("_", " "): known.get(name) for name in PLANNED}
