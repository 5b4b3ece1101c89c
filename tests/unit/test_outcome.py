"""Where a run says that its things lie."""

from __future__ import annotations

import shlex

import pytest

from flows.outcome import _mlflow_address


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://mlflow.example/team"])
def test_a_server_of_mlflow_is_looked_at_where_it_is(uri: str) -> None:
    assert _mlflow_address(uri) == uri


def test_a_store_without_a_server_is_shown_by_a_command_that_a_shell_takes() -> None:
    uri = "sqlite:////srv/my data/mlflow.db"
    program, *words = shlex.split(_mlflow_address(uri))
    assert program.endswith("/mlflow")
    assert words == ["ui", "--backend-store-uri", uri]
