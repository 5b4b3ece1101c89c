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
    told = {row["name"]: row["warnings"] for row in done.json["scores"]}
    assert any("3 rows" in warning or "3 items" in warning for warning in told["fd.cnn14_16k.audioldm_eval"])
