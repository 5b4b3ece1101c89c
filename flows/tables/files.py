"""Where a finished table is kept, and that MLflow has it: its file is written last, so it says that all was done."""

from __future__ import annotations

import json
from pathlib import Path

from flows.tables.filled import rows_of
from flows.tables.show import comparable_in, table_json, table_markdown
from flows.tables.state import TableState, Words
from uniform_core.files import write_text
from uniform_core.settings import Settings


def table_path(settings: Settings, state: TableState) -> Path:
    """The file of a table; the same in Markdown lies beside it. Other scores are another file."""
    return settings.reports_dir / f"table-{state.table.number}-{state.model_id[:12]}-{state.stands_on[:8]}.json"


def was_told(settings: Settings, state: TableState) -> bool:
    """Whether the table, as it is now, was finished and told."""
    return state.is_done and table_path(settings, state).is_file()


def tell_table(settings: Settings, state: TableState, words: Words) -> None:
    """Give MLflow the table, then keep it. Raises ServiceError where MLflow does not answer, StorageError."""
    from tasks.paper_tables import ToldCondition, log_table  # here: MLflow takes seconds to import

    preset = words[0]
    page, value = table_markdown(state, preset), table_json(state, preset)
    rows = rows_of(state)
    conditions = [
        ToldCondition(condition, run.config, tuple(n for n in run.numbers if n.condition == condition))
        for run in state.runs
        for condition in run.run.conditions
    ]
    log_table(
        settings,
        number=state.table.number,
        model_id=state.model_id,
        stands_on=state.stands_on,
        conditions=conditions,
        documents={"table.md": page, "table.json": json.dumps(value, indent=1)},
        comparable=comparable_in(rows),
    )
    path = table_path(settings, state)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path.with_suffix(".md"), page)
    write_text(path, json.dumps(value, indent=1))
