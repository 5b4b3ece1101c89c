"""`uniform evaluate`: which words go together, what is said of clips before and after they are scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from anybody_clips import write_films
from command_line import said
from in_driver import NoRay, without_ray
from services import seed_tracking

from uniform_core.catalog import Catalog
from uniform_core.settings import Settings

SCORE = ["--task", "v2a", "--protocol", "tempotokens2025"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    write_films(root / "theirs", range(2), shift=1)
    write_films(root / "real", range(2))
    return root


@pytest.fixture
def scoring(home: Path, tracking_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which scoring needs no Ray."""
    seed_tracking(tracking_template, home)
    without_ray(monkeypatch)
    monkeypatch.setattr("tasks.ray_session.RaySession", NoRay)
    return home


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--generated", "x"], "no --task; no --protocol"),
        (["--generated", "x", "--run", "y", *SCORE], "both --generated and --run"),
        (["--generated", "x", "--preset", "nano", *SCORE], "--preset is the stage's"),
        (["--generated", "x", "--data", "procedural", *SCORE], "--data is the stage's"),
        (
            ["--generated", "x", "--max-reject-fraction", "0.5", *SCORE],
            "--set and --max-reject-fraction are the stage's",
        ),
        (["--run", "x", "--name", "ours", *SCORE], "--name with --run"),
        (SCORE, "--task, --protocol"),
        (["--reference", "x"], "--reference"),
        (["--generated", "x", "--task", "v2v"], "Did you mean 'v2a'"),
        (["--generated", "x", *SCORE, "--limit", "0"], "1 or more"),
        (["--generated", "x", *SCORE, "--baselines", "reel"], "Did you mean 'real'"),
        (["--generated", "nowhere", *SCORE], "nothing there"),
        (["--run", "newest", *SCORE], "a trained model"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    words: list[str], found: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(["evaluate", *words], capsys)
    assert code == (1 if "newest" in words else 2)
    assert found in text


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    clips: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--generated", str(clips / "theirs"), "--reference", str(clips / "real"), *SCORE, "--dry-run"]
    code, text = said(words, capsys)
    assert code == 0
    assert "theirs, v2a: 2 clips, 2 of them in pairs; 2 real clips" in text
    assert "10 of 10 features are still to be made" in text
    catalog = Catalog.open(Settings(home=home))
    assert not catalog.rows("SELECT 1 FROM features UNION ALL SELECT 1 FROM scores")


def test_clips_are_scored_told_and_exported(clips: Path, scoring: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "evaluate",
        "--generated",
        str(clips / "theirs"),
        "--reference",
        str(clips / "real"),
        "--name",
        "Theirs 1.0",
    ]
    code, text = said([*words, *SCORE, "--export-javisbench", str(scoring / "out"), "--json"], capsys)
    assert code == 0, text
    told: dict[str, Any] = json.loads(text[text.index("{") :])
    assert [row["system"] for row in told["scores"]] == ["Theirs 1.0"] * 2
    assert told["protocols"].keys() == {"tempotokens2025"}
    assert told["mlflow_run"]
    assert told["exports"] == [{"folder": str(scoring / "out"), "clips": 2, "left_out": {}}]
    code, text = said([*words, *SCORE], capsys)
    assert code == 0, text
    assert "by chance" in text
    assert "not made: tempotokens2025: fvd and is of the paper's tables" in text
    assert told["mlflow_run"] in text
