"""What MLflow is told of the gate fits into it: names, lengths, and nothing where there is nothing to say."""

from __future__ import annotations

import csv
import io

import pytest
from report_records import row, scores

from tasks.tracking import LONGEST_VALUE, checked_name
from tasks.verdict import gate_metrics, gate_tables, gate_tags, listed
from uniform_core.metrics.gate import GateConfig, Verdict
from uniform_core.metrics.proof import prove


def proof_of(rows):
    return prove(rows, GateConfig())


def test_a_gate_that_is_passed_has_no_names_against_it():
    tags = gate_tags(proof_of(scores()), longest=LONGEST_VALUE)
    assert tags == {"uniform.gate": "passed", "uniform.gate.controls": "18 of 18 refused"}


def test_a_gate_that_asks_less_is_no_plain_passed():
    tags = gate_tags(prove(scores(), GateConfig(), narrower=["text for a2v"]), longest=LONGEST_VALUE)
    assert tags["uniform.gate"] == "passed, by a narrower gate: text for a2v"
    assert len(gate_tags(prove(scores(), GateConfig(), narrower=["x" * 99]), longest=40)["uniform.gate"]) == 40


def test_the_table_has_intervals_in_the_units_of_what_was_found_and_no_clips_of_the_model_itself():
    rows = scores()
    for found in rows:
        if found["name"].startswith("fad") and found["system"] == "codec_round_trip":
            found["value"] = 0.5
    table = list(csv.DictReader(io.StringIO(dict(gate_tables(proof_of(rows)))["gate.csv"])))
    of = {(line["task"], line["check"]): line for line in table}
    fidelity = of["v2a", "audio fidelity"]
    assert (fidelity["found_low"], fidelity["found_high"], fidelity["low"]) == ("1.6", "1.9", "0.8")
    assert (fidelity["n_generated"], of["v2a", "no gap of losses"]["n_generated"]) == ("192", "")


def test_a_control_that_got_through_is_named_beside_the_checks_that_failed():
    rows = scores()
    for found in rows:
        if found["name"].startswith("copied_share") and (found["system"], found["task"]) == ("copier", "v2a"):
            found["value"] = 0.0
        if found["name"].startswith("fad") and (found["system"], found["task"]) == ("uniform", "v2a"):
            found["value"] = 99.0
    tags = gate_tags(proof_of(rows), longest=LONGEST_VALUE)
    assert tags["uniform.gate"] == "failed"
    assert tags["uniform.gate.failed"] == "v2a audio fidelity.tinymel, control copier v2a"
    assert tags["uniform.gate.controls"] == "17 of 18 refused"


def test_every_name_of_a_metric_is_one_that_mlflow_takes_and_none_is_there_twice():
    proof = proof_of(scores())
    names = [checked_name(name) for name, _ in gate_metrics(proof)]
    assert len(set(names)) == len(names) == len(proof.checks)
    assert "gate/v2a/onsets.gauge" in names


def test_what_has_no_number_is_named_as_not_computed_and_is_no_metric():
    rows = [found for found in scores() if not found["name"].startswith("onset")]
    rows.append(row("coverage.other.uniform_tiny", "uniform", "a2v", None, reason="no clips"))
    proof = proof_of(rows)
    tags = gate_tags(proof, longest=LONGEST_VALUE)
    assert tags["uniform.gate"] == "not computed"
    assert tags["uniform.gate.not_computed"].startswith("a2v coverage.other, v2a onsets.onset_f1_gain")
    unknown = proof.counts()[Verdict.UNKNOWN]
    assert len(dict(gate_metrics(proof))) == len(proof.checks) - unknown


@pytest.mark.parametrize("longest", [13, 40, 100, 10_000])
def test_names_that_are_too_many_are_counted_and_none_is_cut(longest):
    names = [f"t2av check {n}" for n in range(50)]
    line = listed(names, longest=longest)
    assert len(line) <= longest
    *kept, last = line.split(", ")
    assert kept == names[: len(kept)]
    assert last in (names[-1], f"… and {50 - len(kept)} more")


def test_tables_have_a_line_for_each_check_and_each_control():
    proof = proof_of(scores())
    tables = dict(gate_tables(proof))
    assert tables["gate.csv"].count("\n") == len(proof.checks) + 1
    assert tables["controls.csv"].count("\n") == len(proof.refusals) + 1
    assert tables["gate.csv"].startswith("verdict,task,check,found,wanted")
    assert "copier,v2a,not computed" in dict(gate_tables(proof_of([])))["controls.csv"]
