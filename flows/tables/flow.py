"""Tables as Prefect flows: whatever a table still lacks is made by the same stages as ever, each a flow inside it.

One model serves every condition. Nothing that is there is made again: a table that was killed goes on where it was.
"""

from __future__ import annotations

import json

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.context import run_context
from flows.stages import Summaries, evaluate, sample, train
from flows.tables.external import ExternalTables, ExternalWords
from flows.tables.files import tell_table, was_told
from flows.tables.show import table_markdown
from flows.tables.state import RunState, TableReader, Words
from tasks.context import RunContext, Session
from uniform_core.corpus.unimodal import unimodal_words
from uniform_core.paper_tables import NUMBERS
from uniform_core.types import Modality


@flow(name="paper-tables")
def paper_tables(
    numbers: list[str] = list(NUMBERS),  # noqa: B006  (Prefect reads the default into the deployment's schema)
    preset: str = "tiny",
    overrides: list[str] = [],  # noqa: B006
    data: str | None = None,
    external: list[str] = [],  # noqa: B006
    weights: list[str] = [],  # noqa: B006
    allow_code: bool = False,
) -> Summaries:
    """What these tables of the paper lack, one table after another.

    `external` are other systems whose clips are scored beside ours (`NAME=DIR`), by the nets that `weights` give.
    """
    with run_context(preset, overrides, data) as context:
        own = _pinned(context, overrides)
        others = (external, weights, allow_code)
        return [row for number in numbers for row in paper_table(number, preset, own, data, *others)]


@flow(name="paper-table")
def paper_table(
    number: str,
    preset: str = "tiny",
    overrides: list[str] = [],  # noqa: B006
    data: str | None = None,
    external: list[str] = [],  # noqa: B006
    weights: list[str] = [],  # noqa: B006
    allow_code: bool = False,
) -> Summaries:
    """What one table of the paper lacks; then it is told to MLflow, and kept beside the reports."""
    with run_context(preset, overrides, data) as context:
        words: Words = (preset, _pinned(context, overrides), data)
        reader = TableReader(context.catalog, words)
        others = ExternalTables(
            context.settings, context.catalog, ExternalWords(tuple(external), tuple(weights), allow_code)
        )
        before = reader.table(number)
        rows = [row for run in before.runs if not run.is_done for row in _made(context, run, words)]
        others.make(_session(context), before)
        state = others.beside(reader.table(number))
        if not was_told(context.settings, state):
            tell_table(context.settings, state, words)
        create_markdown_artifact(
            key=f"paper-table-{number}", markdown=table_markdown(state, preset), description=state.table.title
        )
        return rows


def _session(context: RunContext) -> Session:
    return Session(context.settings, context.catalog, context.ray, context.run_id, context.listener)


def _pinned(context: RunContext, overrides: list[str]) -> list[str]:
    """The overrides with the version of the corpus that the context has read, so that all of a table reads the same."""
    corpus = context.config.corpus
    return overrides if corpus is None else [*overrides, f"corpus={json.dumps(corpus)}"]


def _made(context: RunContext, state: RunState, words: Words) -> Summaries:
    """What a run of a table lacks: its unimodal models first, then its clips and its scores."""
    context.ray.start()  # one for all stages of the table
    preset, overrides, data = words
    own = [*overrides, *state.run.words]
    rows: Summaries = []
    for modality in Modality if state.run.needs_unimodal else ():
        apart = [*own, *unimodal_words(modality)]
        rows += [*train(preset, apart, data), *sample(preset, apart, data)]
    return [*rows, *sample(preset, own, data), *evaluate(preset, own, data)]
