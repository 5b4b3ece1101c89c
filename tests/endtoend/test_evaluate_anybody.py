"""Our own clips under a published protocol, and those of anybody with real nets: processes of their own, real Ray."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anybody_clips import write_sounds
from command_line import no_network, short_home, uniform
from published_weights import write_cnn14, write_vggish

from uniform_core.catalog import Catalog
from uniform_core.corpus.clip_scores import NO_FILE
from uniform_core.settings import Settings

PROTOCOL, SCORE = "tempotokens2025", "av_align.farneback.tempotokens2025"


@pytest.fixture(scope="module")
def home(nano_run: tuple[Path, Any]) -> Iterator[Path]:
    """A copy of the session's nano home, since other tests count its scores and runs."""
    copy = short_home("anybody")
    shutil.copytree(nano_run[0], copy)
    yield copy
    shutil.rmtree(copy.parent)


def test_our_own_clips_are_scored_beside_their_baselines(home: Path) -> None:
    words = ["evaluate", "--run", "newest", "--task", "v2a", "--protocol", PROTOCOL, "--json"]
    done = uniform(*words, "--baselines", "real", "codec_round_trip", "shuffled", home=home, **no_network(home))
    assert done.code == 0, done.err[-4000:]
    systems = {row["system"]: row for row in done.json["scores"] if row["name"] == SCORE}
    assert systems.keys() == {"uniform", "real", "codec_round_trip", "uniform.shuffled"}
    assert systems["uniform"]["model_id"]
    assert done.json["stages"][0]["failed"] == 0
    again = uniform(*words, home=home, **no_network(home))
    assert again.code == 0, again.err[-4000:]
    assert again.json["stages"][0]["done"] == 0
    [own] = [row for row in again.json["scores"] if row["name"] == SCORE]
    assert own["value"] == systems["uniform"]["value"]


def check_clips(home: Path, scores: list[dict[str, Any]]) -> None:
    """A divergence of pairs is the mean of its clips; a distance of sets has none, and both say which truth it was."""
    kept = Catalog.open(Settings(home=home)).rows("SELECT * FROM clip_scores WHERE system = 'theirs'")
    of_pairs = {row["work_key"]: row for row in scores if row["name"].startswith("kl")}
    assert of_pairs
    assert {row["score_key"] for row in kept} == of_pairs.keys()
    for key, score in of_pairs.items():
        values = {row["clip_name"]: row["value"] for row in kept if row["score_key"] == key}
        assert values.keys() == {f"clip-{number:04d}" for number in range(3)}
        assert sum(values.values()) / 3 == pytest.approx(score["value"], rel=1e-9, abs=1e-12)
    assert {row["video_sha256"] for row in kept} == {NO_FILE}, "there are sounds alone on both sides"
    real = {row["clips_digest"] for row in scores if row["name"].startswith(("fd", "fad", "kl"))}
    assert len(real) == 1
    assert real != {"0" * 64}


def test_sounds_of_anybody_under_two_suites_with_nets(home: Path, tmp_path: Path) -> None:
    write_sounds(tmp_path / "theirs", range(3), shift=1)
    write_sounds(tmp_path / "real", range(3))
    weights = [f"--weights=vggish={write_vggish(tmp_path)}", f"--weights=panns-cnn14-16k={write_cnn14(tmp_path)}"]
    words = [
        "evaluate",
        "--generated",
        str(tmp_path / "theirs"),
        "--reference",
        str(tmp_path / "real"),
        "--task",
        "v2a",
    ]
    named = ["--protocol", "audioldm_eval", "av_benchmark"]
    done = uniform(*words, *named, *weights, "--json", home=home, **no_network(home))
    assert done.code == 0, done.err[-4000:]
    value = {row["name"]: row["value"] for row in done.json["scores"]}
    for protocol in named[1:]:
        assert value[f"fad.vggish16k.{protocol}"] > 0
        assert value[f"fd.cnn14_16k.{protocol}"] > 0
        assert abs(value[f"kl.cnn14_16k.{protocol}"]) < 0.1  # rule-made weights hear all sounds as nearly one class
    check_clips(home, done.json["scores"])
    told = {row["name"]: row["warnings"] for row in done.json["scores"]}
    assert any("3 rows" in warning or "3 items" in warning for warning in told["fd.cnn14_16k.audioldm_eval"])
