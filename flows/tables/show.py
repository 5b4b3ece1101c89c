"""A table in words: as aligned text, as Markdown, as plain values. Reasons are letters, told once below the table."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from typing import Any

from flows.cli.show import markdown_table, table
from flows.tables.filled import Row, remarks_of, rows_of
from flows.tables.state import TableState


def table_text(state: TableState, preset: str) -> str:
    """The table for a person."""
    rows = rows_of(state)
    letters = _letters(rows)
    told = [f"  {letter}  {reason}" for reason, letter in letters.items()]
    printed = [row for row in rows if row.is_printed]
    return "\n".join(
        [
            _title(state),
            *remarks_of(state, preset),
            "",
            table(_cells(rows, letters)),
            "",
            f"{comparable_in(printed)} of {len(printed)} printed values compare with ours"
            + ("; why not:" if told else ""),
            *told,
        ]
    )


def table_markdown(state: TableState, preset: str) -> str:
    """The same in Markdown."""
    rows = rows_of(state)
    letters = _letters(rows)
    parts = [
        f"## {_title(state)}",
        "\n".join(f"- {remark}" for remark in remarks_of(state, preset)),
        markdown_table(_cells(rows, letters)),
        "\n".join(f"- **{letter}** {reason}" for reason, letter in letters.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table_json(state: TableState, preset: str) -> dict[str, Any]:
    """The same as plain values, every reason in full."""
    return {
        "table": state.table.number,
        "name": state.table.name,
        "title": state.table.title,
        "place": state.table.place,
        "model_id": state.model_id,
        "remarks": remarks_of(state, preset),
        "is_done": state.is_done,
        "rows": [row.as_json() for row in rows_of(state)],
    }


def comparable_in(rows: Iterable[Row]) -> int:
    """How many printed values compare with ours."""
    return sum(row.is_printed and row.compared is not None and row.compared.is_comparable for row in rows)


def _title(state: TableState) -> str:
    return f"{state.table.name}: {state.table.title} ({state.table.place})"


def _letters(rows: Iterable[Row]) -> dict[str, str]:
    """A letter for each reason, in the order in which they come; after z, aa."""
    every = dict.fromkeys(reason for row in rows for reason in _said(row))
    return {reason: _letter(place) for place, reason in enumerate(every)}


def _said(row: Row) -> tuple[str, ...]:
    """What is told of a row below the table."""
    if row.compared is None:
        return (row.note,) if row.note else ()
    return row.compared.reasons or (row.compared.doubt or "",)


def _letter(place: int) -> str:
    """
    >>> [_letter(place) for place in (0, 25, 26)]
    ['a', 'z', 'aa']
    """
    before, last = divmod(place, len(string.ascii_lowercase))
    return ("" if before == 0 else _letter(before - 1)) + string.ascii_lowercase[last]


def _cells(rows: Sequence[Row], letters: dict[str, str]) -> list[dict[str, Any]]:
    """The lines of the table; what no row of it has is no column of it."""
    swept = [name for name in ("steps", "guidance") if any(getattr(row, name) is not None for row in rows)]
    return [
        {
            "task": row.task,
            "dataset": row.dataset,
            **{name: getattr(row, name) for name in swept},
            "metric": row.column,
            "method": row.method,
            "text": row.text,
            "value": row.value,
            "95 %": "–" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}",
            "n": _count(row),
            "measured as": row.measured_as,
            "comparable": _verdict(row, letters),
        }
        for row in rows
    ]


def _count(row: Row) -> str:
    """The clips on both sides; one number where nothing stands on the other."""
    if row.n_generated is None:
        return "–"
    return f"{row.n_generated} : {row.n_reference}" if row.n_reference else str(row.n_generated)


def _verdict(row: Row, letters: dict[str, str]) -> str:
    said = " ".join(letters[reason] for reason in _said(row))
    if row.compared is None:
        return f"({said})" if said else ""
    return f"yes ({said})" if row.compared.is_comparable else f"no: {said}"
