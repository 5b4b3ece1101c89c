"""A table as people and MLflow are given it, from a state that no catalog had to make."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from services import seed_tracking
from table_states import state_of

from flows.tables.files import table_path, tell_table, was_told
from flows.tables.filled import rows_of
from flows.tables.show import table_json, table_markdown, table_text
from uniform_core.paper_tables import TABLES
from uniform_core.settings import Settings

WORDS = ("nano", list[str](), None)


@pytest.mark.parametrize("number", list(TABLES))
def test_every_printed_value_and_a_number_of_ours_for_every_column_are_on_the_page(number: str) -> None:
    state = state_of(number)
    rows = rows_of(state)
    printed = [row for row in rows if not row.is_ours]
    assert [row.number for row in printed] != []
    assert sorted(row.number for row in printed) == sorted(value.value for value in TABLES[number].values)
    columns = {(row.task, row.dataset, row.steps, row.guidance, row.column) for row in printed}
    ours = {(row.task, row.dataset, row.steps, row.guidance, row.column) for row in rows if row.is_ours}
    assert ours == columns
    text = table_text(state, "nano")
    assert text.splitlines()[1] == "nano: not the paper's data"
    assert f"0 of {len(printed)} printed values compare with ours; why not:" in text
    assert max(len(line) for line in text.splitlines() if "  no: " in line) < 240
    for row in printed:
        assert row.compared is not None
        assert all(f"  {reason}\n" in text + "\n" for reason in row.compared.reasons)


def test_the_numbers_of_a_column_stand_together_ours_below_the_papers_by_their_whole_names() -> None:
    lines = [line for line in table_text(state_of("1"), "nano").splitlines() if "AV-align ↑" in line]
    assert [line.split("  ")[0] for line in lines] == ["v2a"] * len(lines)
    assert ["here" in line for line in lines] == [False] * 6 + [True] * (len(lines) - 6)
    assert any("av_align.farneback.seeing_and_hearing_tiny" in line and "1.25 to 1.75" in line for line in lines)
    assert any("UniForm here, other sounds" in line and "av_align_chance.farneback" in line for line in lines)
    fd = next(line for line in table_text(state_of("1"), "nano").splitlines() if " FD ↓" in line and "here" in line)
    assert " – " in fd
    assert "no metric of the kind fd in this run" in table_text(state_of("1"), "nano")


def test_marked_values_have_their_mark_in_every_form() -> None:
    for number, value, mark, count in (("s3", "13.24", "reconstructed", 13), ("3", "10.61", "AudioCLIP ×10⁴", 4)):
        state = state_of(number)
        for page in (table_text(state, "nano"), table_markdown(state, "nano")):
            told = [line for line in page.splitlines() if f" {value} " in line]
            assert told
            assert all(f"{value} ({mark})" in line for line in told)
            assert page.count(f"({mark})") == count
        rows = [row for row in table_json(state, "nano")["rows"] if not row["is_ours"]]
        assert sum(row["mark"] is not None and row["value"].endswith(f"({mark})") for row in rows) == count


def test_what_is_not_there_yet_and_what_the_data_lack_say_so() -> None:
    unmade = table_text(state_of("1", numbers=(), scores_left=9), "nano")
    assert "no number here: it has not been made yet" in unmade
    lacking = table_text(state_of("s5", "paper"), "paper")
    assert "Not made: audioset: the run's data list no audioset:eval" in lacking
    assert "not the paper's data" not in lacking
    assert "no number here: the run's data list no audioset:eval" in lacking


def test_on_the_papers_data_a_value_of_the_same_protocol_compares_and_its_doubt_is_told() -> None:
    state = state_of("1", "paper")
    [run] = state.runs
    fad = next(number for number in run.numbers if number.metric == "fad")
    whole = replace(run, setting=replace(run.setting, split_clips=4), numbers=(
        replace(fad, name="fad.vggish16k.av_benchmark"),
    ))  # fmt: skip
    text = table_text(replace(state, runs=(whole,)), "paper")
    assert "1 of 34 printed values compare with ours" in text
    [line] = [line for line in text.splitlines() if "  yes (" in line]
    assert "UniForm" in line
    assert "its protocol is inferred: the same four columns" in text
    json_rows = table_json(replace(state, runs=(whole,)), "paper")["rows"]
    [found] = [row["comparable"] for row in json_rows if not row["is_ours"] and row["comparable"]["is"]]
    assert found["beside"] == "fad.vggish16k.av_benchmark"


def test_mlflow_is_told_a_table_once_with_its_conditions_below_it(tmp_path: Path, tracking_template: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    seed_tracking(tracking_template, settings.home)
    state = state_of("6")
    assert not was_told(settings, state)
    tell_table(settings, state, WORDS)
    assert was_told(settings, state)
    path = table_path(settings, state)
    assert path.with_suffix(".md").read_text().startswith("## Table 6: ")
    path.unlink()  # a kill before the last file
    tell_table(settings, state, WORDS)
    with sqlite3.connect(settings.home / "mlflow.db") as database:
        names = dict(database.execute("SELECT run_uuid, name FROM runs"))
        parents = dict(database.execute("SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'"))
        numbers = {key for (key,) in database.execute("SELECT DISTINCT key FROM metrics")}
    [table] = names.keys() - parents.keys()
    assert names[table] == "table-6-01234567"
    assert set(parents.values()) == {table}
    assert sorted(names[run] for run in parents) == sorted(
        f"t2av {dataset}, text{how}" for dataset in ("vggsound", "landscape", "aist++") for how in ("", ", unimodal")
    )
    assert {"av_align.farneback.seeing_and_hearing_tiny", "av_align.farneback.seeing_and_hearing_tiny.low"} <= numbers
    assert not was_told(settings, replace(state, model_id="f" * 32))
    assert not was_told(settings, state_of("6", scores_left=1))


def test_a_look_at_tables_loads_nothing_heavy(home: Path) -> None:
    code = (
        "import sys; from flows.cli.main import main; code = main(['table', 's6', '--preset', 'nano', '--dry-run'])\n"
        "assert not {'torch', 'ray', 'prefect', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Run `uniform train`" in " ".join(done.stderr.split()), "a home without a model says what to do first"
