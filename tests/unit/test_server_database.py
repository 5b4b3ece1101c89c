"""A home begins with the database that set-up made, and no home loses its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flows import server_database


def test_set_up_has_made_the_database_of_the_prefect_that_is_installed() -> None:
    made = server_database.template()
    assert made.is_file(), "`make setup` makes it"
    with closing(sqlite3.connect(f"file:{made}?mode=ro", uri=True)) as database:
        (runs,) = database.execute("SELECT count(*) FROM flow_run").fetchone()
        (secrets,) = database.execute("SELECT count(*) FROM configuration").fetchone()
    assert runs == secrets == 0, "homes share tables, and nothing that is in them"
    assert server_database.make_template() == made, "what is there stays"


def test_a_home_without_a_database_gets_it_and_another_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made.db").write_bytes(b"tables")
    monkeypatch.setattr(server_database, "template", lambda: tmp_path / "made.db")
    (tmp_path / "new").mkdir()
    server_database.seed(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["prefect.db"]
    assert (tmp_path / "new" / "prefect.db").read_bytes() == b"tables"
    (tmp_path / "new" / "prefect.db").write_bytes(b"runs")
    server_database.seed(tmp_path / "new")
    assert (tmp_path / "new" / "prefect.db").read_bytes() == b"runs"


def test_without_set_up_a_server_makes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_database, "template", lambda: tmp_path / "never made.db")
    server_database.seed(tmp_path)
    assert list(tmp_path.iterdir()) == []
