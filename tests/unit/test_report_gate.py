"""The gate on the page: every rule and control in words, checks beside the baselines, what is unknown and why."""

from __future__ import annotations

import re

from report_records import report, row, scores

from flows.report import words
from flows.report.gate import gate_view
from flows.report.scores import score_table
from flows.report.write import render
from uniform_core.metrics.gate import CONTROLS, GateConfig, rules_of
from uniform_core.metrics.proof import MUST_FAIL, prove
from uniform_core.types import Task

GATE = GateConfig()


def view_of(rows):
    return gate_view(prove(rows, GATE), rows)


def text_of(page: str, part: str) -> str:
    """The words of a section of the page, without its tags."""
    section = re.search(rf'<section id="{part}".*?</section>', page, re.DOTALL)
    assert section is not None
    return " ".join(re.sub(r"<[^>]*>", " ", section[0]).split())


def test_every_rule_and_every_control_has_its_words():
    assert set(words.RULES) == {rule.name for rule in rules_of(GATE)}
    assert set(words.CONTROLS) == set(MUST_FAIL)
    assert set(MUST_FAIL) <= set(words.SYSTEMS)
    assert {rule.metric for rule in rules_of(GATE)} <= set(words.METRICS)


def test_the_overview_has_each_rule_once_in_the_order_of_the_gate_and_a_cell_for_each_task():
    view = view_of(scores())
    assert [line.rule for line in view.rows] == [rule.name for rule in rules_of(GATE)]
    assert view.tasks == ("t2av", "a2v", "v2a")
    for line, rule in zip(view.rows, rules_of(GATE), strict=True):
        assert [bool(cell) for cell in line.cells] == [task in rule.tasks for task in Task]
    assert sum(len(cell) for line in view.rows for cell in line.cells) == len(view.lines)


def test_a_check_stands_beside_the_baselines_values_of_its_metric():
    rows = scores()
    fvd = "fvd.tinyvideo.uniform_tiny"
    next(r for r in rows if (r["name"], r["system"], r["task"]) == (fvd, "untrained", "a2v"))["value"] = 77.0
    view = view_of(rows)
    line = next(line for line in view.lines if (line.rule, line.task) == ("video fidelity", "a2v"))
    assert view.baselines == ("untrained", "retrieval", "codec_round_trip", "real")
    assert line.beside[0] == 77.0
    assert line.beside[2:] == (1.0, 1.0), "one value for all tasks"
    assert line.found == line.cell.value == 2.7


def test_a_gate_that_is_passed_says_so_with_its_counts_and_its_controls():
    page = render(report())
    said = text_of(page, "gate")
    assert "Passed" in said
    assert f"of {len(view_of(scores()).lines)} checks" in said
    asked = sum(len(by_task) for by_task in MUST_FAIL.values())
    assert f"{asked} of {asked} controls refused" in said
    for control in MUST_FAIL:
        assert words.CONTROLS[control].replace("'", "&#39;") in page
    assert "let through" not in said


def test_a_narrower_gate_is_told_beside_its_verdict():
    page = render(report(narrower=["48 clips a task", "loss_gap <99>"]))
    assert "Passed By a narrower gate than the standard one: 48 clips a task, loss_gap &lt;99&gt;." in text_of(
        page, "gate"
    )
    assert "narrower gate" not in text_of(render(report()), "gate")


def test_what_nets_have_not_seen_is_told_beside_the_gate_and_the_scores():
    page = render(report(remark="The nets know <nothing> of it."))
    for part in ("gate", "scores"):
        assert "The nets know &lt;nothing&gt; of it." in text_of(page, part)
    assert 'class="strangers"' not in render(report())


def test_an_interval_stands_beside_what_was_found_in_its_units():
    rows = scores()
    for found in rows:
        if found["name"].startswith("fad") and found["system"] == "codec_round_trip":
            found["value"] = 0.5
    (line,) = [line for line in view_of(rows).lines if (line.rule, line.task) == ("audio fidelity", "v2a")]
    assert (line.found, line.interval, line.cell.low, line.cell.high) == (18.0, (1.6, 1.9), 0.8, 0.95)
    assert re.search(r"18\.0 interval 1\.60, 1\.90 times the codec round trip", text_of(render(report(rows)), "checks"))


def test_no_clips_are_counted_where_a_score_speaks_of_the_model_itself():
    rows = scores()
    for found in rows:
        if found["name"].startswith("loss_gap"):
            found["n_generated"] = found["n_reference"] = 0
    page = render(report(rows))
    assert "n 0" not in text_of(page, "scores")
    assert {line.cell.n_generated for line in view_of(rows).lines if line.rule == "no gap of losses"} == {None}
    table = re.findall(r"<th scope=\"row\" data-value=\"([^\"]*)\">.*?</tr>", page, re.DOTALL)
    assert table.count("no gap of losses") == 3
    assert len(re.findall(r'<td data-value="">–</td>\n<td data-value="', page.split('id="checks"')[1])) >= 3


def test_a_check_that_fails_is_said_in_words_a_shape_and_with_its_number():
    rows = scores()
    next(r for r in rows if r["system"] == "uniform" and r["name"].startswith("fvd"))["value"] = 9.0
    page = render(report(rows))
    assert "Failed" in text_of(page, "gate")
    assert re.search(r'chip failed"><svg class="sign failed".*?failed: </span>9\.00', page, re.DOTALL)
    assert "failed 9.00" in text_of(page, "checks")


def test_a_control_that_the_gate_lets_through_is_named_with_the_rules_that_it_passed():
    rows = scores()
    for found in rows:
        if (found["system"], found["task"]) == ("copier", "v2a") and found["name"].startswith("copied_share"):
            found["value"] = 0.0
    said = text_of(render(report(rows)), "gate")
    assert "let through fails no copying passes, and must not: few near copies" in said


def test_what_could_not_be_computed_has_its_reason_once_with_every_check_that_it_stopped():
    rows = [
        r if r["system"] != "uniform" else row(r["name"], "uniform", r["task"], None, reason="too <few> clips")
        for r in scores()
    ]
    view = view_of(rows)
    (why,) = view.unknown
    assert why.reason == "too <few> clips"
    assert len(why.checks) == len(view.lines)
    page = render(report(rows))
    said = text_of(page, "gate")
    assert "Not computed" in said
    assert f"Why {len(view.lines)} could not be computed too &lt;few&gt; clips" in said
    assert "<few>" not in page


def test_a_control_that_was_not_evaluated_says_why():
    rows = [r for r in scores() if (r["system"], r["task"]) != ("copier", "v2a")]
    (why,) = view_of(rows).unknown
    assert why.reason == "it was not evaluated at this task"
    assert why.checks == ("control copier, V2A no copying", "control copier, V2A few near copies")
    said = text_of(render(report(rows)), "gate")
    assert "Why 2 could not be computed" in said
    assert "control copier, V2A no copying" in said


def test_a_metric_that_was_not_measured_is_a_check_without_a_score():
    rows = [r for r in scores() if not r["name"].startswith("onset")]
    page = render(report(rows))
    assert "this evaluation has no such metric" in text_of(page, "checks")


def test_controls_are_in_the_gates_table_alone():
    columns, _ = score_table(scores())
    assert {column.system for column in columns} == {"uniform", "untrained", "retrieval", "codec_round_trip", "real"}
    assert not {column.system for column in columns} & set(CONTROLS)


def test_without_scores_there_is_no_verdict():
    said = text_of(render(report([])), "gate")
    assert "none yet" in said
    assert "Failed" not in said
    assert "Passed" not in said
