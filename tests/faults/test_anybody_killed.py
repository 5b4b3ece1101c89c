"""Scoring that is killed twice: nothing is made again that was committed, and the numbers are those of a clean run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from anybody_clips import write_films, write_sounds
from anybody_driver import Asked, score_in
from in_driver import without_ray
from published_weights import write_cnn14, write_vggish

from tasks.anybody import Scored
from uniform_core.catalog import Catalog
from uniform_core.settings import Settings

DRIVER = Path(__file__).parent.parent / "anybody_driver.py"
FREE: Asked = {"protocols": ["tempotokens2025"], "weights": []}
Rows = dict[str, tuple[Any, ...]]


def started(home: Path, root: Path, asked: Asked, *, pause_s: float) -> subprocess.Popen[str]:
    folders = os.pathsep.join(sys.path)
    words = [sys.executable, str(DRIVER), str(home), str(root), str(pause_s), json.dumps(asked)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": folders})


def rows_in(home: Path) -> Rows:
    rows = Catalog.open(Settings(home=home)).rows("SELECT work_key, tensor_sha256, run_id, created_at FROM features")
    assert len({row["work_key"] for row in rows}) == len(rows)
    return {row["work_key"]: tuple(row.values()) for row in rows}


def clips_in(home: Path) -> dict[str, tuple[Any, ...]]:
    """What was measured of single clips, by key."""
    rows = Catalog.open(Settings(home=home)).rows(
        "SELECT work_key, score_key, name, clip_id, clip_name, value FROM clip_scores"
    )
    assert len({row["work_key"] for row in rows}) == len(rows)
    return {row["work_key"]: tuple(row.values()) for row in rows}


def killed(home: Path, root: Path, asked: Asked, *, more_than: int, within_s: float) -> Rows:
    """The rows that a driver leaves which is killed once it has committed more than so many."""
    driver = started(home, root, asked, pause_s=0.3)
    ends_at = time.monotonic() + within_s
    try:
        while len(rows_in(home)) <= more_than:
            assert driver.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < ends_at
            time.sleep(0.2)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
    return rows_in(home)


def numbers(scored: Scored) -> dict[str, tuple[Any, ...]]:
    keys = ("value", "low", "high", "reason", "n_generated", "n_reference")
    return {row["name"]: tuple(row[key] for key in keys) for row in scored.rows}


def check(tmp_path: Path, root: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, *, within_s: float) -> None:
    home = tmp_path / "home"
    first = killed(home, root, asked, more_than=0, within_s=within_s)
    second = killed(home, root, asked, more_than=len(first), within_s=within_s)
    assert first.items() <= second.items()
    said, _ = started(home, root, asked, pause_s=0.0).communicate()
    last = json.loads(said)
    measured = clips_in(home)
    whole = rows_in(home)
    assert second.items() <= whole.items(), "what was committed stays as it is"
    assert last == {"done": len(whole) - len(second), "before": len(second), "failed": 0}
    without_ray(monkeypatch)
    resumed, clean = (score_in(place, root, asked, run_id="clean") for place in (home, tmp_path / "clean"))
    assert resumed.summaries[0].done == 0
    assert clean.summaries[0].done == len(whole)
    assert numbers(resumed) == numbers(clean)
    assert clips_in(home) == measured == clips_in(tmp_path / "clean") != {}
    assert {key: row[1] for key, row in rows_in(tmp_path / "clean").items()} == {k: r[1] for k, r in whole.items()}
    assert sum(row["value"] is not None for row in clean.rows) >= 2


@pytest.mark.parametrize("clips", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_a_scoring_of_many_clips_that_is_killed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips: int
) -> None:
    write_films(tmp_path / "root/generated", range(clips), shift=1)
    write_films(tmp_path / "root/reference", range(2))
    check(tmp_path, tmp_path / "root", FREE, monkeypatch, within_s=600.0 + clips)


@pytest.mark.long
def test_a_scoring_with_the_real_nets_that_is_killed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sounds(tmp_path / "root/generated", range(24), shift=1, duration_s=2.1)
    write_sounds(tmp_path / "root/reference", range(24), duration_s=2.1)
    weights = [
        f"vggish={write_vggish(tmp_path / 'weights/vggish')}",
        f"panns-cnn14-16k={write_cnn14(tmp_path / 'weights/cnn14')}",
    ]
    asked = {"protocols": ["audioldm_eval", "av_benchmark"], "weights": weights}
    check(tmp_path, tmp_path / "root", asked, monkeypatch, within_s=900.0)
