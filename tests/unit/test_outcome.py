"""Where a run says that its things lie."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from flows.outcome import _mlflow_address, nets_remark
from uniform_core.build import build_run


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://mlflow.example/team"])
def test_a_server_of_mlflow_is_looked_at_where_it_is(uri: str) -> None:
    assert _mlflow_address(uri) == uri


def test_a_store_without_a_server_is_shown_by_a_command_that_a_shell_takes() -> None:
    uri = "sqlite:////srv/my data/mlflow.db"
    program, *words = shlex.split(_mlflow_address(uri))
    assert program.endswith("/mlflow")
    assert words == ["ui", "--backend-store-uri", uri]


@pytest.mark.parametrize("overrides", [[], ["data.seed=3"], ["data.held_out_short=40", "data.size_px=96"]])
def test_nets_that_know_such_films_need_no_remark(overrides: list[str]) -> None:
    assert nets_remark(build_run("tiny", overrides=overrides)) is None


def test_numbers_of_nets_that_have_seen_no_such_film_come_with_a_remark(tmp_path: Path) -> None:
    config = build_run("tiny", data=f"folder:{tmp_path}")
    said = nets_remark(config) or ""
    assert said.startswith("The feature nets were taught by clips of 6 rendered classes, by none of folder-")
    for word in ("fvd", "fad", "coverage", "synchrony"):
        assert word in said
    of_films = nets_remark(config.model_copy(update={"instrument": config.data, "data": config.instrument})) or ""
    assert f"taught by clips of {config.data.name}, by none of procedural-" in of_films
