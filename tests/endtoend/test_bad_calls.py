"""Wrong calls: one clear paragraph, the right exit code, nothing half-written, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Done, uniform


def one_paragraph(done: Done) -> str:
    assert "Traceback" not in done.err
    text = " ".join(done.err.split())
    assert text
    return text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--preset", "tinny"], "Did you mean 'tiny'"),
        (["run", "--set", "train.stepz=1"], "Did you mean 'steps'"),
        (["run", "--set", "train.steps=many", "--set", "train.lr=-1"], "2 mistakes"),
        (["ingest", "folder:/no/such/folder"], "nothing there"),
        (["plan", "--data", "foldr:/x"], "Did you mean 'folder'"),
        (["query", "DROP TABLE clips"], "SELECT"),
        (["catalog", "bury"], "--reason"),
        (["generate", "v2a"], "--video"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_is_told_what_was_expected_and_writes_nothing(words: list[str], said: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = uniform(*words, home=home)
    assert said in one_paragraph(done)
    assert done.code == 2
    assert not list(home.rglob("*.parquet"))


def test_a_command_that_needs_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    done = uniform("generate", "t2av", "--text", "a ball", home=tmp_path / "home")
    assert done.code == 1
    assert "Run `uniform run` first" in one_paragraph(done)


def test_an_unknown_word_points_to_the_help(tmp_path: Path) -> None:
    done = uniform("rnu", home=tmp_path / "home")
    assert done.code == 2
    assert "--help" in one_paragraph(done)


def test_a_home_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = uniform("run", "--preset", "nano", home=tmp_path / "file" / "home")
    assert done.code == 1
    assert "Set UNIFORM_HOME" in one_paragraph(done)


def test_a_catalog_of_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert uniform("status", home=home).code == 0
    file = home / "catalog" / "format.json"
    written = json.loads(file.read_text())
    newer = {"migrations": [*written["migrations"], {**written["migrations"][-1], "format": 999}]}
    file.write_text(json.dumps(newer))
    done = uniform("status", home=home)
    assert done.code == 1
    assert "999" in one_paragraph(done)
    assert json.loads(file.read_text()) == newer


def test_a_prefect_server_that_does_not_answer_is_a_clear_error(tmp_path: Path) -> None:
    address = "http://127.0.0.1:9/api"
    done = uniform("ingest", "--preset", "nano", home=tmp_path / "home", UNIFORM_PREFECT_API_URL=address)
    assert done.code == 1
    assert address in one_paragraph(done)


def test_a_root_of_a_newer_format_is_not_written_to(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert uniform("status", home=home).code == 0
    file = home / "catalog" / "format.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 999'))
    before = {path: path.stat().st_mtime_ns for path in (home, *home.rglob("*"))}
    done = uniform("run", "--preset", "nano", home=home)
    assert done.code == 1
    assert "999" in one_paragraph(done)
    assert {path: path.stat().st_mtime_ns for path in (home, *home.rglob("*"))} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--only", "sample"], "Run `uniform train` with the same preset"),
        (["run", "--only", "evaluate", "sample"], "Run `uniform train` with the same preset"),
        (["evaluate"], "Run `uniform train` with the same preset"),
        (["run", "--only", "ingest", "sample"], "Add `train`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_model_that_nobody_trained_or_will_is_missed_before_a_service_starts(
    words: list[str], said: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    done = uniform(*words, "--preset", "nano", home=home)
    assert done.code == 1
    assert said in one_paragraph(done)
    assert [path.name for path in home.iterdir()] == ["catalog"]
