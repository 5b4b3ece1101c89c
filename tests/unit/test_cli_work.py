"""What the commands that work are told before any service starts, and what is told where a stage loses too much."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from catalog_rows import open_catalog, sha, stamp

from flows.cli import work
from flows.cli.main import main
from flows.cli.work import require_model
from flows.context import run_context
from tasks.stage import StageFailedError, StageSummary
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.samples import current_model_id, is_trained
from uniform_core.errors import FormatTooNewError, WorkFailedError
from uniform_core.fingerprint import digest

CONFIG = build_run("nano")


def insert_model(catalog: Catalog, model_id: str, *, kind: str = "uniform") -> None:
    model = {"model_id": model_id, "kind": kind, "path": "m", "weights_sha256": sha("w"), "parameters": 7}
    model |= {"steps": 8, "data_digest": sha("d"), "versions": "{}", "metrics": "{}"}
    catalog.insert("models", [stamp(work_key=model_id, **model)])


@pytest.mark.parametrize("only", [None, ["train", "sample"], ["train"], ["ingest", "text"]], ids=str)
def test_a_model_is_not_asked_for_where_it_is_trained_first_or_not_needed(only: list[str] | None, home: Path) -> None:
    require_model(open_catalog(home), CONFIG, only)


def test_the_model_of_this_config_on_these_clips_is_asked_for(home: Path) -> None:
    catalog = open_catalog(home)
    insert_model(catalog, digest("of another config"))
    for only in (["sample"], ["evaluate"], ["evaluate", "sample"]):
        with pytest.raises(WorkFailedError, match="Run `uniform train` with the same preset"):
            require_model(catalog, CONFIG, only)
    model_id = current_model_id(catalog, CONFIG)
    assert not is_trained(catalog, model_id)
    insert_model(catalog, model_id)
    assert is_trained(catalog, model_id)
    require_model(catalog, CONFIG, ["evaluate", "sample"])


def test_any_model_will_do_where_the_stages_before_may_change_which(home: Path) -> None:
    catalog = open_catalog(home)
    insert_model(catalog, digest("of an instrument"), kind="sync_net")
    with pytest.raises(WorkFailedError, match=r"--only ingest sample: .*Add `train`"):
        require_model(catalog, CONFIG, ["ingest", "sample"])
    insert_model(catalog, digest("of another config"))
    require_model(catalog, CONFIG, ["ingest", "sample"])


def test_a_flow_leaves_a_root_of_a_newer_format_alone(home: Path) -> None:
    file = open_catalog(home).root / "format.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 999'))
    before = home.stat().st_mtime_ns
    with pytest.raises(FormatTooNewError, match="999"):
        run_context("nano", [], None).__enter__()
    assert home.stat().st_mtime_ns == before


def test_of_a_stage_that_loses_too_much_its_tables_are_shown_all_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attrition = [{"split": "eval", "listed": 10, "ok": 4, "dead": 6}]
    lost = {"by_error_class": {"dead": 6}, "note": "2 clips wait", "tables": {"clips by split": attrition}}
    summary = StageSummary("ingest", 10, 0, 4, 6, 0, wall_s=1.0, cpu_s=1.0, **lost)

    def fail(*_given: object) -> None:
        summary.require_accepted(max_reject_fraction=0.5)

    monkeypatch.setattr(work, "_as_flows", fail)
    assert main(["ingest", "--preset", "nano"]) == StageFailedError.exit_code == 1
    said = capsys.readouterr()
    assert [line.split() for line in said.out.splitlines() if line.startswith(("eval", "ingest"))] == [
        ["ingest", "10", "0", "4", "6", "0", "B", "1", "1", "6", "dead"],
        ["eval", "10", "4", "6"],
    ]
    assert "clips by split" in said.out
    assert "2 clips wait" in said.out
    assert "at most 50% of 10 items rejected" in " ".join(said.err.split())
    assert main(["ingest", "--preset", "nano", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["stages"][0]["tables"] == {"clips by split": attrition}
