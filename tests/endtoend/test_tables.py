"""Every `uniform table` on the nano preset, in one process that makes what all of them lack; then each as it is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, said, short_home, uniform
from published_weights import write_vggish

from flows.cli.main import main
from uniform_core.paper_tables import NUMBERS, TABLES

NANO = ("--preset", "nano")
RUN_TAGS = "SELECT run_uuid, key, value FROM tags WHERE key LIKE 'uniform.%' OR key = 'mlflow.parentRunId'"


@pytest.fixture(scope="module")
def made(nano_run: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any, str]]:
    """A copy of the session's nano home after `uniform table all`, what that said, and the Markdown that it wrote.

    A copy, since other tests count what the first run has left.
    """
    home = short_home("tables")
    shutil.copytree(nano_run[0], home)
    page = tmp_path_factory.mktemp("tables") / "tables.md"
    done: Done = uniform("table", "all", *NANO, "--json", "--markdown", str(page), home=home)
    assert done.code == 0, done.err[-4000:]
    yield home, done.json, page.read_text()
    shutil.rmtree(home.parent)


@pytest.fixture
def nano_home(made: tuple[Path, Any, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIFORM_HOME", str(made[0]))
    return made[0]


def test_every_table_is_whole_and_is_headed_by_whose_data_it_stands_on(made: tuple[Path, Any, str]) -> None:
    tables = made[1]
    assert [table["table"] for table in tables] == list(NUMBERS)
    for table in tables:
        assert table["is_done"], table["name"]
        assert table["remarks"][0] == "nano: not the paper's data"
        assert "the same clips of procedural" in table["remarks"][1]
        printed = [row for row in table["rows"] if not row["is_ours"]]
        assert len(printed) == len(TABLES[table["table"]].values)
        assert len({row["method"] for row in table["rows"] if row["is_ours"]}) >= 1


def test_nothing_compares_on_rendered_clips_and_every_printed_value_says_why(made: tuple[Path, Any, str]) -> None:
    for row in (row for table in made[1] for row in table["rows"] if not row["is_ours"]):
        verdict = row["comparable"]
        assert verdict["is"] is False
        told = " ".join(verdict["reasons"])
        assert f"other data: {row['dataset']} there, procedural-" in told
        assert "clips of" in told
        assert "other protocol" in told or "its protocol is not known" in told or row["mark"]


def test_every_number_of_ours_has_its_whole_name_and_one_that_is_missing_its_reason(
    made: tuple[Path, Any, str],
) -> None:
    ours = [row for table in made[1] for row in table["rows"] if row["is_ours"]]
    assert sum(row["number"] is not None for row in ours) > 60
    for row in ours:
        assert (row["number"] is None) == bool(row["note"] and not row["method"].endswith("other sounds"))
        if row["number"] is not None:
            assert len(row["measured_as"].split(".")) == 3
            assert len(row["protocol_hash"]) == 32
            assert row["n_generated"] >= 1


def test_the_unimodal_rows_are_there_beside_the_joint_ones(made: tuple[Path, Any, str]) -> None:
    [six] = [table for table in made[1] if table["table"] == "6"]
    methods = {row["method"] for row in six["rows"] if row["is_ours"]}
    assert {"UniForm here", "unimodal here"} <= methods
    home = made[0]
    kinds = uniform("query", "SELECT kind, count(*) AS n FROM models GROUP BY kind", "--json", home=home).json
    assert {row["kind"]: row["n"] for row in kinds if row["kind"] in ("uniform", "unimodal")} == {
        "uniform": 1,
        "unimodal": 2,
    }, "the same model under every condition"


def test_reconstructed_values_are_marked_wherever_they_are_printed(
    nano_home: Path, made: tuple[Path, Any, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", "s3", *NANO]) == 0
    text = capsys.readouterr().out
    markdown = next(part for part in made[2].split("\n## ") if part.startswith("Table S3"))
    for page in (text, markdown):
        lines = [line for line in page.splitlines() if "landscape" in line and "here" not in line and "13.24" in line]
        assert lines
        assert all("13.24 (reconstructed)" in line for line in lines)
        assert page.count("(reconstructed)") == 13


@pytest.mark.parametrize("number", NUMBERS)
def test_a_table_that_is_there_is_printed_at_once_and_nothing_is_made(
    number: str, nano_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in nano_home.rglob("*") if path.is_file()}
    assert main(["table", number, *NANO]) == 0
    text = capsys.readouterr().out
    assert text.startswith(TABLES[number].name)
    assert "nano: not the paper's data" in text
    assert f"0 of {len(TABLES[number].values)} printed values compare with ours; why not:" in text
    assert {path: path.stat().st_mtime_ns for path in nano_home.rglob("*") if path.is_file()} == before


def test_a_sweep_varies_what_it_says_and_its_rows_stand_beside_the_papers(made: tuple[Path, Any, str]) -> None:
    [sweep] = [table for table in made[1] if table["table"] == "s6"]
    assert any("sample.sampler.steps" in remark and "text_scale" in remark for remark in sweep["remarks"])
    ours = [(row["steps"], row["guidance"]) for row in sweep["rows"] if row["is_ours"]]
    assert {steps for steps, _ in ours} == {None, 10, 20, 30, 40, 50}
    assert {scale for _, scale in ours} == {None, 3, 4, 5, 6, 7}
    ways = "SELECT DISTINCT steps, guidance FROM generations WHERE system = 'uniform' AND task = 't2av'"
    found = {(row["steps"], row["guidance"]) for row in uniform("query", ways, "--json", home=made[0]).json}
    assert {(steps, 1.0) for steps in (10, 20, 30, 40, 50)} | {(2, float(g)) for g in (3, 4, 5, 6, 7)} <= found


def test_mlflow_has_a_run_for_each_table_and_one_below_it_for_each_condition(made: tuple[Path, Any, str]) -> None:
    tags: dict[str, dict[str, str]] = {}
    with sqlite3.connect(f"file:{made[0] / 'mlflow.db'}?mode=ro", uri=True) as database:
        for run, key, value in database.execute(RUN_TAGS):
            tags.setdefault(run, {})[key] = value
        numbers = {
            run: {key for (key,) in database.execute("SELECT key FROM metrics WHERE run_uuid = ?", [run])}
            for run in tags
        }
    parents = {own["uniform.table"]: run for run, own in tags.items() if own.get("uniform.kind") == "table"}
    assert set(parents) == set(NUMBERS)
    below = {run: own for run, own in tags.items() if own.get("uniform.kind") == "table-condition"}
    assert {own["mlflow.parentRunId"] for own in below.values()} == set(parents.values())
    of_six = [run for run, own in below.items() if own["mlflow.parentRunId"] == parents["6"]]
    assert len(of_six) == 6, "three datasets, joint and unimodal"
    assert all("av_align.farneback.seeing_and_hearing_tiny" in numbers[run] for run in of_six)


def test_a_dry_run_says_what_is_left_and_the_words_of_a_model_are_its_own(
    nano_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [model] = {path.name for path in (nano_home / "checkpoints").iterdir() if len(path.name) == 32} & {
        row["model_id"] for row in _json(["query", MODEL, "--json"], capsys)
    }
    rows = _json(["table", "1", "s6", "--run", model[:8], "--dry-run", "--json"], capsys)
    assert [row["table"] for row in rows] == ["1", *["s6"] * 10]
    assert all(row["clips to make"] == row["scores to make"] == 0 for row in rows)
    more = _json(["table", "1", *NANO, "--set", "evaluate.seed=7", "--dry-run", "--json"], capsys)
    assert more[0]["clips to make"] > 0


MODEL = "SELECT model_id FROM models WHERE kind = 'uniform'"


def _json(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)


def test_clips_of_another_system_stand_beside_ours_under_the_protocols_of_the_column(
    made: tuple[Path, Any, str], tmp_path: Path
) -> None:
    home = made[0]
    rows = uniform("query", "SELECT source_id, path FROM clips WHERE split = 'held_out'", "--json", home=home).json
    for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        copy = tmp_path / "theirs" / f"{row['source_id']}.mp4"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(home / "media" / other["path"], copy)
    words = ("table", "1", *NANO, "--external", f"Theirs={tmp_path / 'theirs'}", "--json")
    weights = ("--weights", f"vggish={write_vggish(tmp_path)}")
    [planned] = [row for row in uniform(*words, *weights, "--dry-run", home=home).json if row["system"] == "Theirs"]
    assert (planned["scores to make"], planned["tasks"]) == (3, "v2a")
    done = uniform(*words, *weights, home=home)
    assert done.code == 0, done.err[-4000:]
    theirs = [row for row in done.json[0]["rows"] if row["is_external"]]
    assert {row["method"] for row in theirs} == {"Theirs", "Theirs, other sounds"}
    assert not any(row["is_ours"] for row in theirs)
    value = {row["measured_as"]: row["number"] for row in theirs if row["number"] is not None}
    assert set(value) == {
        "fad.vggish16k.av_benchmark",
        "av_align.farneback.seeing_and_hearing",
        "av_align_chance.farneback.seeing_and_hearing",
    }
    assert value["fad.vggish16k.av_benchmark"] == pytest.approx(0, abs=1e-3), "the same sounds under other names"
    why = {row["column"]: row["comparable"]["reasons"] for row in theirs}
    assert "weights panns-cnn14-16k" in why["FD ↓"][0]
    assert why["FAD ↓"][0].startswith("not with ours: other protocol, fad.tinymel")
    printed = [row for row in done.json[0]["rows"] if not (row["is_ours"] or row["is_external"])]
    assert len(printed) == len(TABLES["1"].values)
    again = uniform(*words, *weights, "--dry-run", home=home).json
    assert [row["scores to make"] for row in again if row["system"] == "Theirs"] == [0]
    kinds = "SELECT DISTINCT system, name FROM scores WHERE system = 'Theirs'"
    assert len(uniform("query", kinds, "--json", home=home).json) == 3


def test_clips_that_cannot_be_anybodys_are_refused_before_anything_is_made(
    nano_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["table", "1", "s6", *NANO, "--external"]
    for given, told in (
        ("Theirs", "expected NAME=DIR"),
        (f"Theirs={tmp_path / 'nowhere'}", "expected a folder; found nothing there"),
        (f"Theirs={tmp_path}", "expected media files"),
        (f"uniform={tmp_path}", "--external uniform: expected up to 60 letters"),
    ):
        code, said_words = said([*words, given], capsys)
        assert (code, told in said_words) == (2, True), said_words


def test_wrong_words_are_told(nano_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(["table", "7"], capsys)
    assert (code, "one of 1, 2, 3" in words) == (2, True)
    code, words = said(["table", "1", "--run", "zz"], capsys)
    assert (code, "none that begins so" in words) == (2, True)
    code, words = said(["table", "1", "--run", "zz", *NANO], capsys)
    assert (code, "neither --preset nor --data beside it" in words) == (2, True)
    code, words = said(["table", "1", *NANO, "--set", "train.lr=0.123"], capsys)
    assert (code, "Run `uniform train`" in words) == (1, True)


def test_a_gallery_has_a_figure_of_each_task_and_one_page(
    nano_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _json(["gallery", *NANO, "--out", str(tmp_path / "g"), "--clips", "2", "--json"], capsys)
    page = Path(found["page"]).read_text()
    names = [Path(figure).relative_to(tmp_path / "g").as_posix() for figure in found["figures"]]
    assert sorted(Path(name).stem for name in names) == sorted(["truth", "t2av", "a2v", "v2a"] * 2)
    assert all(f'src="{name}"' in page for name in names)
    assert all(Path(figure).read_bytes().startswith(b"\x89PNG") for figure in found["figures"])
    code, words = said(["gallery", *NANO, "--set", "evaluate.seed=7", "--out", str(tmp_path)], capsys)
    assert (code, "Run `uniform sample`" in words) == (1, True)
