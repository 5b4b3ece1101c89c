"""Rows of single clips of anybody: what a score is the mean of, once, by names, and paired with those of others."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anybody_calls import CHANCE, NAME, scored_in, session_in, words
from anybody_clips import write_film, write_films
from catalog_rows import clip_row, sha
from in_driver import without_ray

from flows.cli.main import main
from flows.compare.find import contenders
from tasks.anybody import Scored, score_clips
from tasks.context import Session
from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.call import Call
from uniform_core.corpus.anybody.found import MediaFiles
from uniform_core.corpus.anybody.names import clip_names
from uniform_core.corpus.clip_scores import NO_FILE, ClipName, clip_rows
from uniform_core.corpus.comparison import compare
from uniform_core.corpus.controls import Clip
from uniform_core.fingerprint import digest, file_sha256
from uniform_core.metrics.base import ClipValues

ONSETS, PEAKS = "onset_count.librosa.tempotokens2025", "motion_peak_count.farneback.tempotokens2025"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def in_driver() -> Iterator[None]:
    """Every stage in this process."""
    with pytest.MonkeyPatch.context() as patch:
        without_ray(patch)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`generated` has the sounds of other clips, `other` those of the clips themselves."""
    root = tmp_path_factory.mktemp("clips")
    write_films(root / "generated", range(4), shift=1)
    write_films(root / "reference", range(4))
    write_films(root / "other", range(4), shift=3)
    return root


@pytest.fixture(scope="module")
def first(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, Call, Scored]:
    """The clips under one protocol, with baselines."""
    session = session_in(tmp_path_factory.mktemp("first"))
    return (session, *scored_in(session, words(root, baselines=("real", "shuffled"))))


def rows_of(catalog: Catalog) -> Rows:
    return catalog.rows("SELECT * FROM clip_scores ORDER BY work_key")


def test_a_score_is_the_mean_of_its_clips_which_have_the_names_of_their_files(
    first: tuple[Session, Call, Scored],
) -> None:
    session, call, scored = first
    values: defaultdict[str, dict[str, float]] = defaultdict(dict)
    counts: defaultdict[str, dict[str, float]] = defaultdict(dict)
    scores = {row["work_key"]: row for row in scored.rows}
    for row in rows_of(session.catalog):
        score = scores[row["score_key"]]
        same = ("task", "system", "protocol_hash", "stage_fp", "model_id", "run_id")
        assert {name: row[name] for name in same} == {name: score[name] for name in same}
        (values if row["name"] == score["name"] else counts)[row["score_key"]][row["clip_name"]] = row["value"]
    assert {(row["system"], row["name"]) for row in scored.rows} == {
        (system, name) for system in ("generated", "real", "generated.shuffled") for name in (NAME, CHANCE)
    }
    assert values.keys() == scores.keys(), "each of these is a mean over clips"
    for key, of_clips in values.items():
        assert float(np.mean(list(of_clips.values()))) == pytest.approx(scores[key]["value"], rel=1e-12)
        assert len(of_clips) == scores[key]["n_generated"]
        assert set(of_clips) <= {f"clip-{number:04d}" for number in range(4)}
    assert {scores[key]["name"] for key in counts} == {NAME}
    [own] = [row for row in rows_of(session.catalog) if _is(row, "generated", ONSETS, "clip-0002")]
    assert own["value"] >= 3
    clip = call.generated["clip-0002"]
    assert (own["video_sha256"], own["audio_sha256"]) == (clip.video, clip.audio)
    [peaks] = [row for row in rows_of(session.catalog) if _is(row, "generated", PEAKS, "clip-0002")]
    assert peaks["value"] >= 1
    assert {row["clips_digest"] for row in scored.rows} == {"0" * 64}, "AV-align compares with no real clip"


def _is(row: dict[str, Any], system: str, name: str, clip: str) -> bool:
    return (row["system"], row["name"], row["clip_name"]) == (system, name, clip)


def test_a_second_call_adds_no_row(first: tuple[Session, Call, Scored]) -> None:
    session, call, _ = first
    before = rows_of(session.catalog)
    score_clips(session, call)
    assert rows_of(session.catalog) == before


def test_a_kill_between_clips_and_scores_writes_nothing_twice(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, asked = session_in(tmp_path / "home"), words(root)
    insert = Catalog.insert

    def dies(catalog: Catalog, table: str, rows: Any) -> int:
        if table == "scores":
            raise KeyboardInterrupt
        return insert(catalog, table, rows)

    with monkeypatch.context() as patched:
        patched.setattr(Catalog, "insert", dies)
        with pytest.raises(KeyboardInterrupt):
            scored_in(session, asked)
    before = rows_of(session.catalog)
    assert len(before) == 16, "four numbers of four clips"
    assert session.catalog.read("scores").num_rows == 0
    _, scored = scored_in(session, asked)
    assert rows_of(session.catalog) == before
    assert {row["score_key"] for row in before} == {row["work_key"] for row in scored.rows}


def test_a_score_without_a_value_has_no_clips_and_one_of_the_rest_has_those_of_the_rest(
    root: Path, tmp_path: Path
) -> None:
    write_films(tmp_path / "generated", range(2))
    (tmp_path / "generated/clip-0002.mp4").write_bytes(b"no film at all" * 100)
    session = session_in(tmp_path / "home")
    asked = words(tmp_path, reference=str(root / "reference"))
    scored_in(session, asked)
    assert rows_of(session.catalog) == []
    scored_in(session, words(tmp_path, reference=str(root / "reference"), leave_out=True))
    assert {row["clip_name"] for row in rows_of(session.catalog)} == {"clip-0000", "clip-0001"}


def test_the_worst_clips_of_a_system_are_asked_for_by_its_name(
    first: tuple[Session, Call, Scored], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session, _, _ = first
    monkeypatch.setenv("UNIFORM_HOME", str(session.settings.home))
    asked = (
        "SELECT clip_name, value FROM clip_scores WHERE system = 'generated' AND name LIKE 'av_align.%' ORDER BY value"
    )
    assert main(["query", f"{asked} LIMIT 2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    every = _values(session.catalog, "generated")
    assert [row["value"] for row in rows] == sorted(every.values())[:2]
    assert all(every[row["clip_name"]] == row["value"] for row in rows)


def test_two_systems_are_compared_clip_by_clip(
    first: tuple[Session, Call, Scored],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    session, _, scored = first
    monkeypatch.setenv("UNIFORM_HOME", str(session.settings.home))
    _, theirs = scored_in(session, words(root, generated=root / "other"))
    runs = [rows[0]["stage_fp"] for rows in (scored.rows, theirs.rows)]
    base, other = contenders(session.settings, session.catalog, runs)
    assert (base.system, other.system) == ("generated", "other"), "each evaluation has but one"
    found = compare(session.catalog, base, other)
    [score] = [one for one in found.scores if one.name == NAME]
    assert (score.pairs, score.remark) == (4, "")
    values = {name: _values(session.catalog, name) for name in ("generated", "other")}
    for change in found.clips:
        assert change.name is not None
        [measure] = [one for one in change.measures if one.name == NAME]
        assert (measure.base, measure.other) == tuple(values[system][change.name] for system in values)
    assert score.difference == pytest.approx(theirs.rows[0]["value"] - scored.rows[0]["value"])
    assert main(["compare", *runs]) == 0
    changed = [change.name for change in found.clips if change.gain]
    shown = capsys.readouterr().out
    assert changed
    assert all(str(name) in shown for name in changed)


def _values(catalog: Catalog, system: str) -> dict[str, float]:
    rows = [row for row in rows_of(catalog) if row["system"] == system and row["name"] == NAME]
    return {row["clip_name"]: row["value"] for row in rows}


def test_a_clip_of_the_catalog_goes_by_its_id_and_one_of_a_folder_by_its_name_and_its_truth() -> None:
    film = {name: Path(f"/media/{name}.mp4") for name in "abcd"}
    real = {name: Clip(sha(name), sha(name)) for name in "abc"}
    generated = {name: MediaFiles(Path(f"/made/{name}.mp4"), None) for name in "abcd"}
    reference = {"a": MediaFiles(film["a"], None), "b": MediaFiles(film["b"], None), "c": MediaFiles(film["b"], None)}
    ids = {film["a"]: "1" * 32, film["b"]: "2" * 32}
    found = clip_names(generated, reference, clip_ids=ids, real=real)
    assert found["a"] == ClipName("1" * 32, "a")
    assert found["b"].clip_id != found["c"].clip_id, "two clips that were made of one are told apart"
    assert {found[name].name for name in "bcd"} == {"b", "c", "d"}
    assert found["d"] == ClipName(digest(["clip of a folder", "d"]), "d"), "it has no real clip"
    again = clip_names(generated, {"b": reference["b"]}, clip_ids={}, real={"b": Clip(sha("x"), sha("b"))})
    other = clip_names(generated, {"b": reference["b"]}, clip_ids={}, real=real)
    assert again["b"].clip_id != other["b"].clip_id, "a name with another truth is another clip"
    assert clip_names({"1" * 32: reference["a"]}, clip_ids=ids, real={})["1" * 32] == ClipName("1" * 32)


def test_clips_beside_those_of_a_split_have_the_ids_of_the_catalog(root: Path, tmp_path: Path) -> None:
    session = session_in(tmp_path / "home")
    for number in range(2):
        path = session.settings.media_dir / f"clip-{number:04d}.mp4"
        write_film(path, number)
        known = {"source_id": f"clip-{number:04d}.mp4", "split": "test", "clip_sha256": file_sha256(path)}
        session.catalog.insert("clips", [clip_row(number, path=path.name, **known)])
    dataset = clip_row(0)["dataset"]
    write_films(tmp_path / "generated", range(2), shift=1)
    scored_in(session, words(tmp_path, reference=f"{dataset}:test"))
    expected = {f"clip-{number:04d}": clip_row(number)["clip_id"] for number in range(2)}
    assert {row["clip_name"]: row["clip_id"] for row in rows_of(session.catalog)} == expected


def test_a_stream_that_no_file_has_is_said_in_the_row(tmp_path: Path) -> None:
    score = {"work_key": digest("score"), "task": "v2a", "system": "theirs", "model_id": None, "run_id": "a run"}
    score |= {"protocol_hash": digest("p"), "stage_fp": digest("e"), "created_at": clip_row(0)["created_at"]}
    values = [ClipValues("kl.net.protocol", {"a": 0.25})]
    named = lambda key: ClipName(digest(key), key)  # noqa: E731
    rows = list(clip_rows(values, {"a": Clip("", sha("a"))}, score=score, named=named))
    session = session_in(tmp_path)
    session.catalog.insert("clip_scores", rows)
    [row] = rows_of(session.catalog)
    assert (row["video_sha256"], row["audio_sha256"], row["clip_name"]) == (NO_FILE, sha("a"), "a")
