"""The table of degradations in docs/metrics.md is that of docs/ladder.json, and that is of the metrics as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from ladder import page
from ladder.claims import LEFT_OUT, Claim, rows
from ladder.degradations import LADDERS
from ladder.parts import UNMEASURED, part_of

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text()
FOUND = page.read()
MEASURED = [metric.name for metric in rows() if part_of(metric) not in UNMEASURED]


def test_the_page_has_the_table_that_was_measured() -> None:
    assert page.table(page.cells_of(FOUND)) in PAGE


def test_what_was_measured_has_every_metric_on_every_ladder() -> None:
    assert list(FOUND) == MEASURED
    for name, of in FOUND.items():
        assert list(of["values"]) == list(LADDERS), name


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_is_of_the_protocols_clips_and_rungs_that_there_are(name: str) -> None:
    """Else: `PYTHONPATH=tests:tests/parity python -m ladder`, and the new table into docs/metrics.md."""
    setting = page.setting_of(name)
    assert FOUND[name]["setting"] == setting
    for ladder, rungs in setting["rungs"].items():
        values = FOUND[name]["values"][ladder]
        assert [len(row) for row in values] == [1 + len(rungs)] * setting["groups"]


def test_blind_metrics_were_blind() -> None:
    blind = [cell for cell in page.cells_of(FOUND) if cell.claim is Claim.SAME]
    assert [f"{cell.metric} on {cell.ladder}" for cell in blind if not cell.holds] == []


def test_the_page_names_what_has_no_row_and_what_the_rungs_are() -> None:
    assert [name for name in LEFT_OUT if f"`{name}" not in PAGE] == []
    for ladder in LADDERS.values():
        assert f"{', '.join(f'{rung:g}' for rung in ladder.rungs)} {ladder.unit}" in PAGE


def test_the_page_names_what_was_not_measured() -> None:
    assert [m.name for m in rows() if part_of(m) in UNMEASURED and f"`{m.name}`" not in PAGE] == []
