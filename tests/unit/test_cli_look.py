"""`uniform status`, `plan`, `query`, `doctor`, and what is said of settings that are wrong."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from catalog_rows import clip_row, open_catalog, sha, source_row, stamp
from command_line import said

from flows.cli.main import main
from flows.pace import rates_of, record_pace
from uniform_core.build import build_run
from uniform_core.catalog import Failure
from uniform_core.catalog.memory import LOOK_MEMORY, memory_connection
from uniform_core.corpus.rates import DEFAULT_RATES
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fingerprint import digest
from uniform_core.settings import load_settings

STAGES = ["ingest", "encode", "captions", "text", "train", "sample", "evaluate"]


def test_status_shows_tables_and_models(home, capsys):
    catalog = open_catalog(home)
    catalog.insert("clips", [clip_row(1, bytes=3 << 20)])
    model = {"model_id": digest("model"), "kind": "uniform", "path": "m", "weights_sha256": sha("w"), "parameters": 7}
    model |= {"steps": 8, "data_digest": sha("d"), "versions": "{}", "metrics": "{}"}
    catalog.insert("models", [stamp(work_key=digest("row"), **model)])
    code, text = said(["status"], capsys)
    assert (code, "3.0 MiB" in text, "no failures" in text) == (0, True, True)
    assert main(["status", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {row["table_name"]: row["rows"] for row in shown["tables"]}["clips"] == 1
    assert [row["scores"] for row in shown["models"]] == [0]
    assert shown["models"][0]["model_id"] in text


def test_a_plan_says_of_each_stage_how_many_bytes_and_time(home, capsys):
    assert main(["plan", "--preset", "nano", "--json"]) == 0
    rows = {row["stage"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == STAGES
    assert all(row["to_do"] == row["candidates"] and row["seconds"] > 0 for row in rows.values())
    assert rows["ingest"]["bytes"] > 0
    # 2 classes: 4 short files and 2 windows of 1 long one to train, 3 held out; each clip is two latents
    assert rows["encode"]["candidates"] == 2 * 2 * (4 + 2 + 3)
    assert main(["plan", "train", "--preset", "nano"]) == 0
    assert "two cores of a 2026 laptop" in capsys.readouterr().out


def summary(stage: str, *, done: int, wall_s: float) -> dict[str, object]:
    return {"stage": stage, "done": done, "wall_s": wall_s}


def test_a_plan_takes_its_times_from_the_last_large_run_of_the_preset(home, capsys):
    settings, config = load_settings({"UNIFORM_HOME": str(home), "UNIFORM_CPUS": "2"}), build_run("nano")
    record_pace(
        settings, config, "evaluate", [summary("features", done=9, wall_s=3), summary("evaluate", done=8, wall_s=5)]
    )
    assert rates_of(settings, config) == {"evaluate": 8 * 2 / 8}, "features are part of what a score costs"
    record_pace(settings, config, "evaluate", [summary("evaluate", done=3, wall_s=90)])
    assert rates_of(settings, config) == {"evaluate": 2}, "a few pieces say nothing"
    record_pace(settings, config, "evaluate", [summary("evaluate", done=4, wall_s=6)])
    assert rates_of(settings, config) == {"evaluate": 3}
    assert rates_of(settings, build_run("tiny")) == {}
    assert main(["plan", "--preset", "nano"]) == 0
    assert "Times of evaluate are as the last large nano run took on this root" in capsys.readouterr().out
    settings.reports_dir.joinpath("pace.json").write_text('{"nano": 3')
    assert rates_of(settings, config) == {}
    assert set(DEFAULT_RATES) == {"fetch", *STAGES}


@pytest.mark.parametrize("words", [["plan"], ["run"], ["ingest"]], ids=" ".join)
def test_a_folder_without_files_is_told_before_anything_starts(words, home, tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    code, text = said([*words, "--data", f"folder:{tmp_path / 'videos'}", "--preset", "nano"], capsys)
    assert code == 2
    assert "at least one file" in text
    assert str(tmp_path / "videos") in text
    assert not home.exists() or not list(home.rglob("*.parquet"))


def test_failures_are_listed_by_every_stage_that_has_some(home, capsys):
    kept = [*STAGES, "instruments", "features"]
    rejection = Rejection("crash", "its worker died", terminal=True)
    open_catalog(home).record_failures(
        [Failure(stage, digest(stage), f"an item of {stage}", rejection, digest("fp"), "run") for stage in kept]
    )
    for stage in kept:
        assert main(["failures", "list", "--stage", stage, "--json"]) == 0
        assert [row["item"] for row in json.loads(capsys.readouterr().out)] == [f"an item of {stage}"]
    assert main(["failures", "retry", "--stage", "features", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"requested": 1, "not_due": 0, "next_due": None}


def test_a_dry_run_shows_the_stages_that_were_asked_for(home, capsys):
    for words, shown in (
        (["run", "--only", "sample", "train"], ["train", "sample"]),
        (["plan", "train", "sample"], ["train", "sample"]),
        (["train"], ["train"]),
        (["run"], STAGES),
    ):
        dry = [] if words[0] == "plan" else ["--dry-run"]
        assert main([*words, *dry, "--preset", "nano", "--json"]) == 0
        assert [row["stage"] for row in json.loads(capsys.readouterr().out)] == shown


def test_a_limit_of_0_is_no_limit(home, capsys):
    code, text = said(["query", "SELECT * FROM range(60)", "--limit", "0"], capsys)
    assert (code, " 59" in text, "more rows" in text) == (0, True, False)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT range AS n, range AS n FROM range(1000000000000)",
        "SELECT range AS n, range AS n FROM range(1000000000000); -- and; no more",
        "WITH many AS (FROM range(1000000000000) SELECT range AS n) SELECT *, 'a;b' AS m FROM many -- all",
    ],
)
def test_a_limit_computes_no_more_than_it_prints(sql, home, capsys):
    """The whole would be 8 TB; these end at once."""
    code, text = said(["query", sql, "--limit", "3"], capsys)
    assert code == 0
    assert "… and more rows: --limit 0 prints all" in text
    assert main(["query", sql, "--limit", "3", "--json"]) == 0
    assert [row["n"] for row in json.loads(capsys.readouterr().out)] == [0, 1, 2]


def test_only_where_rows_are_left_out_it_says_so(home, capsys):
    assert "more rows" not in said(["query", "SELECT * FROM range(3)", "--limit", "3"], capsys)[1]
    assert "more rows" in said(["query", "SELECT * FROM range(4)", "--limit", "3"], capsys)[1]
    assert "more rows" in said(["query", "SELECT * FROM range(51)"], capsys)[1]
    assert main(["query", "SELECT * FROM range(51)", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 51, "a script gets all"
    assert main(["query", "--limit", "2", "--json"]) == 0
    assert [row["column"] for row in json.loads(capsys.readouterr().out)] == ["work_key", "stage"]


def test_failures_are_as_many_as_a_limit_says(home, capsys):
    rejection = Rejection("crash", "its worker died", terminal=True)
    failed = [Failure("encode", digest(n), f"item {n}", rejection, digest("fp"), "run") for n in range(52)]
    open_catalog(home).record_failures(failed)
    for words, count in (([], 52), (["--limit", "3"], 3), (["--limit", "0"], 52)):
        assert main(["failures", "list", *words, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == count
    assert "… 2 more rows" in said(["failures", "list"], capsys)[1]


def test_a_takedown_of_what_nobody_knows_is_a_wrong_call(home, capsys):
    open_catalog(home).insert("sources", [source_row(1)])
    words = ["catalog", "bury", "--dataset", "drawn", "--reason", "asked", "--source"]
    code, text = said([*words, "sorce-1"], capsys)
    assert (code, "does not know: sorce-1. Nothing was buried." in text) == (2, True)
    assert main([*words, "source-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"] == 1


def test_doctor_sees_a_home_that_is_a_file(home, capsys):
    home.write_text("in the way")
    assert main(["doctor", "--json"]) == 1
    checks = {check["check"]: check["verdict"] for check in json.loads(capsys.readouterr().out)}
    assert "UNIFORM_HOME" in checks["home is writable"]


def test_every_setting_that_is_wrong_is_told_at_once():
    wrong = {"CPUS": "0", "HOEM": "/x", "PREFECT_API_URL": "localhost:4200", "MLFLOW_URI": "/srv/mlflow"}
    with pytest.raises(ConfigError) as caught:
        load_settings({f"UNIFORM_{name}": value for name, value in wrong.items()})
    assert all(f"UNIFORM_{name}" in caught.value.item for name in wrong)
    good = {"UNIFORM_PREFECT_API_URL": "http://127.0.0.1:4200/api", "UNIFORM_MLFLOW_URI": "sqlite:////srv/mlflow.db"}
    assert load_settings(good).prefect_api_url == good["UNIFORM_PREFECT_API_URL"]


def test_sigterm_unwinds_and_has_its_own_exit_code(home, capsys, monkeypatch):
    ended = []

    def work(_arguments):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            ended.append("in order")

    monkeypatch.setattr("flows.cli.look.status", work)
    before = signal.getsignal(signal.SIGTERM)
    code, text = said(["status"], capsys)
    assert (code, ended) == (143, ["in order"])
    assert "run the same command again" in text
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_is_one_paragraph(home, capsys, monkeypatch):
    def work(_arguments):
        raise OSError(28, "No space left on device", "/srv/data/x")

    monkeypatch.setattr("flows.cli.look.status", work)
    code, text = said(["status"], capsys)
    assert code == 1
    assert "/srv/data/x: expected room to write; found No space left on device." in text


def test_a_reader_that_closed_the_pipe_is_no_error(home, capsys, monkeypatch):
    def work(_arguments):
        raise BrokenPipeError(32, "Broken pipe")

    closed = []
    monkeypatch.setattr("flows.cli.look.status", work)
    monkeypatch.setattr("sys.stderr.close", lambda: closed.append(True), raising=False)
    assert main(["status"]) == 0
    assert closed == [True]
    assert capsys.readouterr().err == ""


def test_columns_of_one_name_are_told_apart_and_json_stays_json(home, capsys):
    open_catalog(home)
    assert main(["query", "SELECT 1 AS a, 2 AS a, 3 AS a_2, 1e999::double AS b", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert row == {"a": 1, "a_2": 2, "a_2_2": 3, "b": None}
    code, text = said(["query", "SELECT 1 AS a, 2 AS a"], capsys)
    assert code == 0
    assert text.endswith("1 2")


@pytest.mark.parametrize(
    ("words", "is_bounded"),
    [
        (["status"], True),
        (["plan", "text", "--preset", "nano"], True),
        (["captions", "list"], True),
        (["query", "SELECT 1"], False),
    ],
    ids=["status", "plan", "captions list", "query"],
)
def test_commands_that_look_hold_no_more_memory_than_the_bench_of_the_catalog_allows(
    words: list[str], is_bounded: bool, home: Path
) -> None:
    open_catalog(home)
    before = limit_of_memory("3GiB")
    try:
        assert main([*words, "--json"]) == 0
        found = limit_of_memory()
    finally:
        bounded = limit_of_memory(LOOK_MEMORY)
    assert found == (bounded if is_bounded else before)


def limit_of_memory(limit: str | None = None) -> str:
    """What DuckDB may hold in this process; from now on so much, where a limit is given."""
    with memory_connection() as con:
        if limit is not None:
            con.execute(f"SET memory_limit = '{limit}'")
        [(said,)] = con.execute("SELECT current_setting('memory_limit')").fetchall()
        return str(said)
