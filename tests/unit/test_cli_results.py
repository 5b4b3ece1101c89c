"""What `uniform run` prints of the scores: a table, the gate, and what is to be known of the nets behind them."""

from __future__ import annotations

import pytest
from report_records import scores

from flows.cli.work import results_text
from flows.outcome import Outcome, headlines
from uniform_core.metrics.gate import GateConfig
from uniform_core.metrics.proof import prove


@pytest.mark.parametrize("remark", [None, "The nets know nothing of it."])
def test_scores_the_gate_and_a_remark_on_the_nets_where_there_is_one(remark: str | None) -> None:
    rows = scores()
    text = results_text(
        Outcome(rows, headlines(rows), prove(rows, GateConfig(), narrower=["text for a2v"]), {}, {}), remark
    )
    assert "fad.tinymel.uniform_tiny" in text
    assert "gate passed, by a narrower gate: text for a2v; of 42 checks 42 passed" in text
    assert text.endswith("\n\nThe nets know nothing of it.") is (remark is not None)
