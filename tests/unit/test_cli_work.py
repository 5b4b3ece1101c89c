"""What the commands that work are told before any service starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from catalog_rows import open_catalog, sha, stamp

from flows.cli.work import require_model
from flows.context import run_context
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
