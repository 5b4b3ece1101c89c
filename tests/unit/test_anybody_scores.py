"""Numbers of anybody's clips: each feature once, the same digits in any order, a reason where there is no number."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anybody_calls import CHANCE, FREE, NAME, scored_in, session_in, words
from anybody_clips import write_film, write_films, write_sounds
from in_driver import without_ray
from services import seed_tracking

import tasks.stage
from tasks import originals
from tasks.anybody import Scored, progress_of, score_clips
from tasks.anybody_tracking import log_scored
from tasks.context import Session
from tasks.pool import run_pool
from tasks.ray_session import RaySession
from tasks.tracking import Tracker
from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.call import Call, call_of
from uniform_core.corpus.anybody.sides import ABSENT, judged, real_halves, retrieved, shuffled
from uniform_core.corpus.controls import Clip
from uniform_core.errors import ConfigError
from uniform_core.progress import silent
from uniform_core.settings import Settings
from uniform_core.types import Task


@pytest.fixture(scope="module", autouse=True)
def in_driver() -> Iterator[None]:
    """Every stage in this process."""
    with pytest.MonkeyPatch.context() as patch:
        without_ray(patch)
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`generated` has the sounds of the next clip; `reference` is as it should be, with two clips more."""
    root = tmp_path_factory.mktemp("clips")
    write_films(root / "generated", range(4), shift=1)
    write_films(root / "reference", range(6))
    return root


def numbers(scored: Scored) -> dict[tuple[str, str], tuple[Any, ...]]:
    keys = ("value", "low", "high", "n_generated", "n_reference", "work_key")
    return {(row["system"], row["name"]): tuple(row[key] for key in keys) for row in scored.rows}


@pytest.fixture(scope="module")
def first(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, Call, Scored]:
    """The clips under one protocol, with every baseline that files give."""
    session = session_in(tmp_path_factory.mktemp("first"))
    baselines = ("real", "codec_round_trip", "shuffled", "retrieval")
    return (session, *scored_in(session, words(clips, baselines=baselines)))


def test_each_number_has_its_row_and_chance_is_beside_it(first: tuple[Session, Call, Scored]) -> None:
    session, call, scored = first
    assert call.system == "generated"
    own = {row["name"]: row for row in scored.rows if row["system"] == "generated"}
    assert own.keys() == {NAME, CHANCE}
    assert 0 < own[NAME]["value"] <= 1
    assert own[NAME]["n_generated"] == 4
    assert own[NAME]["task"] == "v2a"
    assert json.loads(own[NAME]["extractors"]).keys() == {"farneback", "librosa"}
    kept = session.catalog.rows("SELECT work_key, value FROM scores ORDER BY work_key")
    assert [(row["work_key"], row["value"]) for row in kept] == sorted((r["work_key"], r["value"]) for r in scored.rows)


def test_what_is_there_is_not_made_again_and_a_second_protocol_recomputes_nothing(
    first: tuple[Session, Call, Scored], clips: Path
) -> None:
    session, call, scored = first
    before = session.catalog.rows("SELECT work_key, tensor_sha256 FROM features ORDER BY work_key")
    again = score_clips(session, call)
    assert [(s.done, s.already_done) for s in again.summaries] == [(0, s.candidates) for s in again.summaries]
    assert numbers(again) == numbers(scored)
    _, other = scored_in(session, words(clips, FREE[1]))
    assert [(s.done, s.failed) for s in other.summaries] == [(0, 0)]
    assert {row["protocol"] for row in other.rows} == {FREE[1]}
    assert session.catalog.rows("SELECT work_key, tensor_sha256 FROM features ORDER BY work_key") == before
    counts = session.catalog.rows(
        "SELECT count(*) AS n FROM features GROUP BY content_sha256, extractor, extractor_fp, layer, protocol_part"
    )
    assert {row["n"] for row in counts} == {1}
    total, todo = progress_of(session.catalog, call)
    assert (total > 0, todo) == (True, 0)


def test_numbers_are_the_same_to_the_last_digit_for_any_batch_and_order(
    first: tuple[Session, Call, Scored], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, call, scored = first
    monkeypatch.setattr(originals, "FILES_AT_ONCE", 1)
    plain = originals.original_candidates
    monkeypatch.setattr(originals, "original_candidates", lambda *words: _reversed(plain(*words)))
    session = session_in(tmp_path / "other")
    other = score_clips(session, call)
    assert numbers(other) == numbers(scored)


@pytest.mark.parametrize("decode_workers", [None, 1])
def test_numbers_are_the_same_to_the_last_digit_by_several_processes(
    first: tuple[Session, Call, Scored],
    tmp_path: Path,
    ray_running: RaySession,
    monkeypatch: pytest.MonkeyPatch,
    decode_workers: int | None,
) -> None:
    """Each decodes for itself, or one decodes for the others."""
    _, call, scored = first
    monkeypatch.setattr(tasks.stage, "run_pool", run_pool)
    settings = Settings(home=tmp_path / "other", cpus=2, decode_workers=decode_workers)
    session = Session(settings, Catalog.open(settings), ray_running, "a run", silent)
    assert numbers(score_clips(session, call)) == numbers(scored)


def _reversed(table: Any) -> Any:
    return table.take(list(range(table.num_rows))[::-1])


def test_baselines_are_put_together_from_files(first: tuple[Session, Call, Scored]) -> None:
    _, call, scored = first
    by_system = {row["system"]: row for row in scored.rows if row["name"] == NAME}
    assert by_system.keys() == {"generated", "real", "generated.shuffled"}
    assert by_system["real"]["n_generated"] == 6
    assert by_system["real"]["task"] == "all"
    why = {gap.what: gap.reason for gap in scored.not_made}
    assert "do not say which codec" in why["codec_round_trip"]
    assert "no protocol of the call looks at pictures" in why["retrieval"]
    own = judged("x", call.generated, call.reference)
    moved = shuffled(own, Task.V2A).generated
    assert moved.keys() == own.generated.keys()
    assert all(moved[key].video == clip.video for key, clip in own.generated.items())
    assert all(moved[key].audio != clip.audio for key, clip in own.generated.items())
    halves = real_halves(call.reference)
    assert not halves.generated.keys() & halves.reference.keys()
    assert {**halves.generated, **halves.reference}.keys() == call.reference.keys()


def test_retrieval_takes_the_nearest_clip_that_is_not_the_own_one() -> None:
    reference = {key: Clip(f"video {key}", f"audio {key}") for key in "abcd"}
    own = judged("x", {key: Clip(f"video {key}", f"made {key}") for key in "ab"}, reference)
    places = {"a": 0.0, "b": 1.0, "c": 0.4, "d": 9.0}
    found = retrieved(own, Task.V2A, lambda clips: np.array([[places[key]] for key in sorted(clips)]))
    assert not isinstance(found, str)
    assert found.generated == {"a": Clip("video a", "audio c"), "b": Clip("video b", "audio c")}
    assert "words" in str(retrieved(own, Task.T2AV, lambda clips: "never asked"))
    assert retrieved(own, Task.V2A, lambda clips: "no features") == "no features"


def test_a_clip_that_cannot_be_read_gives_no_number_or_a_warning_and_is_in_the_ledger(
    clips: Path, tmp_path: Path
) -> None:
    write_films(tmp_path / "generated", range(3))
    (tmp_path / "generated/clip-0003.mp4").write_bytes(b"no film at all" * 100)
    session = session_in(tmp_path / "home")
    asked = words(tmp_path, reference=str(clips / "reference"))
    _, scored = scored_in(session, asked)
    row = next(row for row in scored.rows if row["name"] == NAME)
    assert row["value"] is None
    assert row["reason"].startswith("1 of 4 generated clips give farneback nothing: clip-0003: ")
    assert {failed["item"].rpartition("/")[0] for failed in session.catalog.failed_items(stage="features")} == {
        f"{tmp_path}/generated/clip-0003.mp4 farneback",
        f"{tmp_path}/generated/clip-0003.mp4 librosa",
    }
    _, kept = scored_in(session, dataclasses.replace(asked, leave_out=True))
    row = next(row for row in kept.rows if row["name"] == NAME)
    assert row["n_generated"] == 3
    assert any("1 generated clips left out" in warning for warning in kept.warnings[row["work_key"]])


def test_sound_and_picture_may_lie_in_different_files(clips: Path, tmp_path: Path) -> None:
    write_sounds(tmp_path / "generated", [0])
    write_film(tmp_path / "generated/clip-0001.mp4", 1, is_silent=True)
    write_sounds(tmp_path / "generated", [1])
    write_film(tmp_path / "generated/clip-0002.mp4", 2, is_silent=True)
    session = session_in(tmp_path / "home")
    real = str(clips / "reference")
    call = call_of(words(tmp_path, reference=real), settings=session.settings, catalog=session.catalog)
    path = {key: (call.path_of[clip.video], call.path_of[clip.audio]) for key, clip in call.generated.items()}
    made, true = tmp_path / "generated", clips / "reference"
    assert path["clip-0000"] == (true / "clip-0000.mp4", made / "clip-0000.wav")
    assert path["clip-0001"] == (made / "clip-0001.mp4", made / "clip-0001.wav")
    assert path["clip-0002"] == (made / "clip-0002.mp4", made / "clip-0002.mp4")
    with pytest.raises(ConfigError, match="a sound alone for 1: clip-0000"):
        call_of(words(tmp_path, task=Task.A2V, reference=real), settings=session.settings, catalog=session.catalog)
    (made / "clip-0000.wav").unlink()
    a2v = call_of(words(tmp_path, task=Task.A2V, reference=real), settings=session.settings, catalog=session.catalog)
    assert a2v.path_of[a2v.generated["clip-0002"].audio] == true / "clip-0002.mp4"  # it is given the sound
    alone = call_of(words(tmp_path, reference=None), settings=session.settings, catalog=session.catalog)
    assert alone.reference == {}
    assert ABSENT not in {clip.video for clip in alone.generated.values()}


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"protocols": ("audioldm",)}, "Did you mean 'audioldm_eval'"),
        ({"protocols": ("audioldm_eval",)}, "uniform weights pull"),
        ({"protocols": ("mmdiffusion",)}, "v2a is given the picture"),
        ({"system": "real"}, "of no system of ours"),
        ({"system": "a/b@c"}, "of no system of ours"),
        ({"reference": "vggsound:test"}, "DATASET:SPLIT"),
        ({"weights": ("vgish=x",)}, "Did you mean 'vggish'"),
        ({"reference": None, "match": Path("m.csv")}, "a --reference"),
    ],
)
def test_a_call_that_cannot_be_served_is_refused_before_any_work(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], found: str
) -> None:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path / "home"))
    session = session_in(tmp_path / "home")
    with pytest.raises(ConfigError, match=found):
        call_of(dataclasses.replace(words(clips), **more), settings=session.settings, catalog=session.catalog)
    assert not session.catalog.rows("SELECT 1 FROM features")


def test_mlflow_has_one_run_with_stable_names_and_tags(
    first: tuple[Session, Call, Scored], tracking_template: Path
) -> None:
    session, call, scored = first
    seed_tracking(tracking_template, session.settings.home)
    run_id = log_scored(session, call, scored, words={"reference": "the truth"})
    assert log_scored(session, call, score_clips(session, call), words={"reference": "the truth"}) == run_id
    tracker = Tracker.open(session.settings)
    run = tracker._client.get_run(run_id)
    assert run.data.tags["uniform.system"] == "generated"
    assert run.data.tags["uniform.task"] == "v2a"
    assert run.data.tags["uniform.protocol"] == FREE[0]
    assert run.data.tags["uniform.dataset"] == "the truth"
    [value] = [row["value"] for row in scored.rows if (row["system"], row["name"]) == ("generated", NAME)]
    assert run.data.metrics[f"generated/v2a/{NAME}"] == value
    assert f"real/all/{NAME}" in run.data.metrics
