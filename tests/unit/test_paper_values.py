"""The paper's values as data: every one is there as printed, with its protocol, its strength and its mark."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from uniform_core.paper_tables import METRICS, TABLES, Mark, PaperValue, Strength, conditions_of, paper_values
from uniform_core.paper_tables.values import BASES
from uniform_core.types import Task

PRINTED = Path(__file__).with_name("paper_tables.csv")
PRINTED_VALUES = 233
COLUMNS = ("table", "task", "dataset", "method", "text", "metric", "value", "note")


def as_printed(value: PaperValue) -> tuple[str, ...]:
    """The columns of the sheet that the values were taken from."""
    axis = {"steps": value.steps, "guidance": value.guidance}
    swept = "".join(f"/{name}={number:g}" for name, number in axis.items() if number is not None)
    text = {None: "", True: "yes", False: "no"}[value.text]
    table = value.table.upper() + swept
    return (table, value.task.value, value.dataset, value.method, text, value.metric, f"{value.value:g}", value.note)


def test_every_printed_value_is_there_and_no_other() -> None:
    rows = [
        dict(row) | {"value": f"{float(row['value']):g}"} for row in csv.DictReader(PRINTED.read_text().splitlines())
    ]
    sheet = [tuple(row[name] for name in COLUMNS) for row in rows]
    assert len(sheet) == PRINTED_VALUES
    assert Counter(map(as_printed, paper_values())) == Counter(sheet)


def test_every_table_has_values_and_every_value_a_table_a_column_and_a_basis() -> None:
    assert list(TABLES) == ["1", "2", "3", "4", "5", "6", "s1", "s2", "s3", "s4", "s5", "s6"]
    assert all(table.values for table in TABLES.values())
    assert sum(len(table.values) for table in TABLES.values()) == len(paper_values())
    assert {value.metric for value in paper_values()} == set(METRICS)
    assert {value.basis for value in paper_values()} == set(BASES)


def test_a_protocol_is_a_whole_name_of_the_column_and_missing_where_nothing_tells() -> None:
    for value in paper_values():
        assert (value.protocol is None) == (value.strength is Strength.UNKNOWN), value
        if value.protocol is not None:
            word, extractor, protocol = value.protocol.split(".")
            assert word == METRICS[value.metric].word
            assert extractor
            assert protocol in {"av_benchmark", "mmdiffusion", "styleganv", "tempotokens2025", "seeing_and_hearing"}


def test_which_way_is_better_is_what_the_paper_prints() -> None:
    assert {name: metric.heading[-1] for name, metric in METRICS.items()} == {
        **dict.fromkeys(("fad", "fd", "kl", "fvd", "kvd"), "↓"),
        **dict.fromkeys(("is_audio", "is_video", "av_align"), "↑"),
    }


def test_reconstructed_rows_and_audioclip_rows_are_never_printed_without_their_mark() -> None:
    by_mark = Counter(value.mark for value in paper_values())
    assert by_mark == {None: PRINTED_VALUES - 13 - 4, Mark.RECONSTRUCTED: 13, Mark.AUDIOCLIP: 4}
    assert {value.table for value in paper_values() if value.mark is Mark.RECONSTRUCTED} == {"s3"}
    for value in paper_values():
        if value.mark is Mark.RECONSTRUCTED:
            assert value.printed.endswith(" (reconstructed)")
        elif value.mark is Mark.AUDIOCLIP:
            assert value.printed.endswith(" (AudioCLIP ×10⁴)")
            assert value.protocol == "fad.audioclip44k.mmdiffusion"
        else:
            assert value.printed == f"{value.value:g}"
    assert all("reconstructed" in value.note for value in TABLES["s3"].values)


def test_rows_that_mmaudio_printed_are_of_eight_seconds_and_the_papers_own_of_four() -> None:
    fad = {value.method: value for number in ("1", "4") for value in TABLES[number].values if value.metric == "fad"}
    assert {name: fad[name].clip_s for name in ("VATT", "Frieren", "UniForm")} == {
        "VATT": 8,
        "Frieren": 8,
        "UniForm": 4,
    }
    assert (fad["VATT"].strength, fad["UniForm"].strength) == (Strength.STRONG, Strength.INFERRED)
    assert (fad["SpecVQGAN"].clip_s, fad["SpecVQGAN"].strength) == (None, Strength.WEAK)


def test_the_conditions_of_a_table_are_those_of_its_rows_of_uniform() -> None:
    [first] = conditions_of("1")
    assert (first.task, first.dataset, first.with_text, first.is_joint) == (Task.V2A, "vggsound", True, True)
    five = {(c.task, c.dataset, c.with_text) for c in conditions_of("5")}
    assert five == {(Task.V2A, "vggsound", t) for t in (True, False)} | {
        (Task.A2V, "landscape", t) for t in (True, False)
    }
    six = [(c.dataset, c.is_joint) for c in conditions_of("6")]
    assert sorted(six) == sorted((d, j) for d in ("vggsound", "landscape", "aist++") for j in (True, False))
    swept = conditions_of("s6")
    assert {c.steps for c in swept} == {None, 10, 20, 30, 40, 50}
    assert {c.guidance for c in swept} == {None, 3, 4, 5, 6, 7}
    assert len(swept) == 30
