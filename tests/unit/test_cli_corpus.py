"""What the command line says of an index: its plan, what is missing, what is asked for again or taken down."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from catalog_rows import STAGE_FP, stamp
from command_line import said
from fetch_bench import download_row
from fetch_index import short_index
from index_files import lay_indexes

from flows.cli.main import main
from uniform_core.build import build_run
from uniform_core.catalog import Catalog, Failure
from uniform_core.corpus.fetching import fetch_candidates, fetched_items, prepare_indexes
from uniform_core.corpus.inputs import list_items
from uniform_core.errors import ConfigError, Rejection
from uniform_core.settings import load_settings

VIDEOS = ("-0abcdefghi", "bbbbbbbbbbb", "ccccccccccc")
SOURCES = '[{"kind": "http", "url": "http://media.example/{video_id}.mp4"}]'


class Listed:
    """A root, and an index of four clips of three videos with a bad line."""

    def __init__(self, root: Path) -> None:
        clips = [(VIDEOS[0], 0, 1), (VIDEOS[0], 2, 3), (VIDEOS[1], 0, 1), (VIDEOS[2], 0, 1)]
        index = short_index(root / "lists", clips, lines="no, line\n")
        self.words = ["--preset", "nano", "--set", f"data.index={index.index}", "--set", f"data.sources={SOURCES}"]
        self.config = build_run("nano", data="audioset:eval", overrides=self.words[3::2])
        self.catalog = Catalog.open(load_settings())
        self.rows = fetch_candidates(self.config, list_items(self.config)).to_pylist()

    def fetch(self, *numbers: int) -> None:
        rows = [download_row(self.rows[n]) | {"work_key": self.rows[n]["work_key"]} for n in numbers]
        self.catalog.insert("downloads", [stamp(**row) for row in rows])
        for row in rows:
            path = self.catalog.media_dir / row["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 100)

    def fail(self, number: int, error_class: str, *, retry_at: datetime | None = None) -> None:
        row = self.rows[number]
        rejection = Rejection(error_class, f"it is {error_class}", terminal=retry_at is None)
        failure = Failure("fetch", row["work_key"], row["item"], rejection, STAGE_FP, "run", "audioset", retry_at)
        self.catalog.record_failures([failure])

    def json(self, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Any:
        assert main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)


@pytest.fixture
def listed(home: Path, tmp_path: Path) -> Listed:
    return Listed(tmp_path)


def test_a_plan_of_an_index_says_how_many_and_how_long_hosts_let_it_take(
    listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    listed.fetch(0)
    listed.fail(2, "dead")
    listed.fail(3, "access", retry_at=datetime.now(UTC) + timedelta(days=7))
    hosts = ["--set", 'fetch.hosts={"other_rate": {"per_s": 0.01}}']
    fetch, ingest = listed.json(["plan", "ingest", "audioset:eval", *listed.words, *hosts], capsys)
    assert [fetch["stage"], ingest["stage"]] == ["fetch", "ingest"]
    # of five: one is here, one is lost, as is the line that is no clip, one waits, and one is to be fetched
    assert (fetch["candidates"], fetch["already_done"], fetch["waiting"], fetch["to_do"]) == (5, 1, 3, 1)
    assert (fetch["details"]["videos"], fetch["details"]["lost"]) == (3, 2)
    [host] = fetch["details"]["hosts"]
    assert (host["host"], host["videos_per_hour"], host["closed_until"]) == ("media.example", 36.0, None)
    assert fetch["seconds"] == pytest.approx(fetch["details"]["videos_to_do"] * 100)
    assert fetch["bytes"] == 100 / 10 * 1, "as many bytes a second as those that are here"
    rendered = sum(1 for one in list_items(listed.config) if one.dataset_index)
    assert ingest["candidates"] - rendered == 2, "the file that is here, and what is to come"
    code, text = said(["plan", "ingest", "audioset:eval", *listed.words, *hosts], capsys)
    assert (code, "media.example 36 videos/h" in text, "2 clips lost" in text) == (0, True, True)


def test_ingest_works_on_what_has_a_file(listed: Listed) -> None:
    listed.fetch(1)
    items = fetched_items(listed.catalog, listed.config, list_items(listed.config))
    assert [one.item.source_id for one in items if one.dataset_index == 0] == [listed.rows[1]["source_id"]]
    others = [one for one in list_items(listed.config) if one.dataset_index]
    assert [one for one in items if one.dataset_index] == others, "data without an index is as it was"
    assert others


def test_what_is_missing_is_told_one_a_line_with_its_class(listed: Listed, capsys: pytest.CaptureFixture[str]) -> None:
    listed.fetch(0)
    listed.fail(2, "dead")
    assert main(["missing", "audioset:eval", *listed.words]) == 0
    ids = [row["source_id"] for row in listed.rows]
    assert capsys.readouterr().out.splitlines() == [
        f"{ids[1]}\tnot_tried",
        f"{ids[2]}\tdead",
        f"{ids[3]}\tnot_tried",
        f"{ids[4]}\tnot_tried",
    ]
    rows = listed.json(["missing", "--data", "audioset:eval", *listed.words, "--limit", "3"], capsys)
    assert [(row["source_id"], row["is_final"]) for row in rows] == [(ids[1], False), (ids[2], True)]
    code, text = said(["missing", "procedural", "--preset", "nano"], capsys)
    assert (code, "uniform missing KIND:SPLIT" in text) == (2, True)


def test_a_condition_says_which_failures_are_tried_again(listed: Listed, capsys: pytest.CaptureFixture[str]) -> None:
    listed.fail(1, "transient", retry_at=datetime.now(UTC) + timedelta(hours=1))
    listed.fail(2, "dead")
    listed.fail(3, "geo")
    words = ["failures", "retry", "--where", "error_class IN ('transient', 'dead')"]
    [dead] = listed.catalog.failed_items(error_class="dead")
    due = str(dead["created_at"] + timedelta(days=90))
    dry = listed.json([*words, "--dry-run"], capsys)
    assert dry == {"would_request": 1, "not_due": 1, "next_due": due}
    assert len(listed.catalog.failed_items()) == 3, "a dry run asks for nothing"
    assert "1 stay as they are" in said([*words, "--dry-run"], capsys)[1]
    assert listed.json(words, capsys) == {"requested": 1, "not_due": 1, "next_due": due}
    code, text = said(["failures", "retry"], capsys)
    assert (code, "1 items will be tried again" in text) == (0, True), "of another country, at any time"
    code, text = said(["failures", "retry"], capsys)
    assert (code, text.startswith("0 items will be tried again")) == (0, True)
    assert f"not due for another look yet, the first of them on {due[:10]} (--early asks anyway)" in text
    listed.fail(3, "geo")
    assert listed.json([*words, "--early"], capsys) == {"requested": 1, "not_due": 0, "next_due": None}
    assert [row["error_class"] for row in listed.catalog.failed_items()] == ["geo"]
    shown = listed.json(["failures", "list", "--where", "tries = 2"], capsys)
    assert [row["error_class"] for row in shown] == ["geo"]
    for wrong in ("error_clas = 'dead'", "true); DELETE FROM attempts; SELECT (true", ""):
        code, text = said(["failures", "retry", "--where", wrong], capsys)
        assert (code, "--where: expected" in text) == (2, True), wrong
    assert listed.catalog.read("attempts").num_rows == 7


def test_a_video_is_taken_down_with_all_its_clips(listed: Listed, capsys: pytest.CaptureFixture[str]) -> None:
    listed.fetch(0, 1, 2)
    gone = listed.json(["catalog", "bury", f"--video={VIDEOS[0]}", "--reason", "asked"], capsys)
    assert (gone["sources"], gone["media_files"]) == (2, 2)
    assert listed.catalog.read("downloads")["video_id"].to_pylist() == [VIDEOS[1]]
    fetch = listed.json(["plan", "ingest", "audioset:eval", *listed.words], capsys)[0]
    assert (fetch["candidates"], fetch["already_done"]) == (3, 1)
    for words in (
        ["--video", "x", "--source", "y", "--dataset", "d", "--reason", "r"],
        ["--video", "x"],
        ["--source", "x", "--reason", "r"],
        ["--reason", "r"],
    ):
        code, text = said(["catalog", "bury", *words], capsys)
        assert (code, "--video ID" in text) == (2, True), words
    for wrong in ("", "https://www.youtube.com/watch?v=x", "a b", "x" * 201, "\x07"):
        code, text = said(["catalog", "bury", f"--video={VIDEOS[1]}", f"--video={wrong}", "--reason", "r"], capsys)
        assert (code, "Nothing was buried" in text) == (2, True), wrong
    assert listed.catalog.read("downloads")["video_id"].to_pylist() == [VIDEOS[1]]


def test_a_video_of_which_nothing_was_fetched_yet_can_be_taken_down_and_then_never_comes(
    listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    listed.fetch(2)
    words = ["catalog", "bury", f"--video={VIDEOS[0]}", f"--video={VIDEOS[1]}", "--reason", "asked"]
    code, text = said(words, capsys)
    assert (code, f"nothing was fetched of {VIDEOS[0]}: " in text) == (0, True)
    fetch = listed.json(["plan", "ingest", "audioset:eval", *listed.words], capsys)[0]
    assert (fetch["candidates"], fetch["details"]["videos"]) == (2, 1), "of five lines: a clip, and one that is none"
    listed.fetch(0)  # of a writer that was at work meanwhile
    assert listed.catalog.purge().sources == 1
    assert listed.catalog.read("downloads").num_rows == 0


def test_a_damaged_file_is_taken_out_so_that_it_is_fetched_anew(
    listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    listed.fetch(0)
    path = listed.catalog.media_dir / listed.catalog.read("downloads")["path"][0].as_py()
    assert main(["catalog", "verify", "--repair", "--json"]) == 0
    assert [row["table"] for row in json.loads(capsys.readouterr().out)] == ["downloads"]
    assert not path.exists(), "else it would be taken for what a kill left"
    assert listed.catalog.read("downloads").num_rows == 0


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a plan asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_plan_before_any_list_is_here_says_what_was_published_and_how_lists_come(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    words = ["plan", "ingest", "vggsound:train+audioset:strong+landscape", "--preset", "nano"]
    assert main([*words, "--json"]) == 0
    fetch, ingest = json.loads(capsys.readouterr().out)
    published = 183_971 + 103_463 + 1_178
    assert (fetch["candidates"], fetch["to_do"], fetch["details"]["unlisted"]) == (published, published, published)
    [host] = fetch["details"]["hosts"]
    assert fetch["seconds"] == host["seconds"] == pytest.approx(published * 12)
    assert ingest["to_do"] - published == 10, "the files of the instruments"
    places = {(one["place"], one["name"]): one for one in fetch["missing_lists"]}
    assert {place for place, _ in places} == {f"data.members.{kind}" for kind in ("vggsound", "audioset", "landscape")}
    assert places["data.members.vggsound", "vggsound.csv"]["published"] == "train 183,971"
    assert places["data.members.landscape", "landscape.csv"]["published"] == "train 1,076, test 102"
    assert places["data.members.audioset", "mid_to_display_name.tsv"]["published"] == ""
    assert all(one["comes"].startswith("by itself, from https://") for one in places.values())
    assert [path.name for path in home.iterdir()] == ["catalog"], "a plan brings nothing"
    code, text = said(words, capsys)
    assert (code, "lists that are not here" in text) == (0, True)
    assert "brings what comes by itself" in text
    assert main([*words, "--limit", "500", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["to_do"] == 1500, "500 of each"


def test_a_plan_says_what_stands_against_fetching_and_what_nobody_published(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(
        ["plan", "aistpp+landscape", "--preset", "nano", "--set", "data.members.0.is_cleaned=true"], capsys
    )
    assert code == 0
    assert "--set data.members.aistpp.accept_terms=true" in text
    assert "ignore_list.txt aistpp data.members.aistpp by hand. It is in fullset.zip" in text
    mmaudio = ["plan", "ingest", "vggsound:train", "--preset", "nano", "--set", "data.listing=mmaudio", "--json"]
    assert main(mmaudio) == 0
    fetch = json.loads(capsys.readouterr().out)[0]
    assert (fetch["to_do"], fetch["missing_lists"][0]["published"]) == (0, "train ?")


def test_a_plan_counts_the_members_whose_lists_are_here_and_those_that_are_not(
    listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    listed.fetch(0)
    index, sources = (word.removeprefix("data.") for word in listed.words[3::2])
    words = ["plan", "ingest", "audioset:eval+landscape:test", "--preset", "nano"]
    words += [f"--set=data.members.audioset.{word}" for word in (index, sources)]
    fetch, _ = listed.json(words, capsys)
    assert (fetch["candidates"], fetch["already_done"], fetch["to_do"]) == (5 + 102, 1, 3 + 102)
    seconds = {host["host"]: host["seconds"] for host in fetch["details"]["hosts"]}
    assert seconds["youtube.com"] == pytest.approx(102 * 12), "a host is asked for the videos of its own datasets"
    assert {one["dataset"] for one in fetch["missing_lists"]} == {"landscape"}


def test_a_plan_says_which_lists_are_not_as_they_were_published(
    listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "ingest", "audioset:eval", *listed.words]
    different = [
        "data: eval_segments.csv: 20,371 clips published, 4 found",
        "data: eval_segments.csv: 527 labels published, 1 found",
    ]
    fetch, ingest = listed.json(words, capsys)
    assert (fetch["list_differences"], "list_differences" in ingest) == (different, False)
    code, text = said(words, capsys)
    assert code == 0
    assert " ".join(["lists that are not as they were published:", *different]) in text
    assert "as they were published:" not in said(["plan", "train", "audioset:eval", *listed.words], capsys)[1]


def test_a_plan_does_without_a_list_to_guard_against_and_says_so(
    listed: Listed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    words = ["plan", "audioset:eval", *listed.words, "--set", 'guard_against=[{"kind": "landscape", "split": "test"}]']
    fetch = listed.json(words, capsys)[0]
    assert [(one["place"], one["name"]) for one in fetch["missing_lists"]] == [
        ("guard_against.landscape", "landscape.csv")
    ]
    assert fetch["candidates"] == 5
    code, text = said(words, capsys)
    assert (code, "none is left out for a list to guard against" in text) == (0, True)
    assert listed.json([*words, "--set", "leakage=allow"], capsys)[0]["missing_lists"] == []
    folder = listed.catalog.media_dir.parent / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"x")
    assert said(["plan", f"folder:{folder}", "--preset", "paper"], capsys)[0] == 0
    assert "lists that are not here" not in said(["plan", f"folder:{folder}", "--preset", "paper"], capsys)[1]


def test_a_list_of_ones_own_that_is_not_there_is_a_mistake(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(["plan", "vggsound:test", "--set", "data.index=/nowhere/list.csv"], capsys)
    assert (code, "/nowhere/list.csv" in text) == (2, True)


@pytest.mark.parametrize(
    ("words", "said_so"),
    [
        (["data.members.0.index=/nowhere"], "leave data.members.vggsound.index out"),
        (
            ['guard_against=[{"kind": "audioset", "split": "eval", "index": "/nowhere"}]'],
            "leave guard_against.audioset.index out to have it fetched. It is a list to guard against: "
            "--set guard_against=[] goes on without any.",
        ),
    ],
)
def test_a_run_whose_list_cannot_come_stops_and_says_whose_it_is(
    words: list[str], said_so: str, tmp_path: Path
) -> None:
    lay_indexes(tmp_path)
    own = [f"data.members.{kind}.index={tmp_path}" for kind in ("vggsound", "landscape")]
    config = build_run("nano", data="vggsound+landscape", overrides=[*own, *words])
    with pytest.raises(ConfigError) as caught:
        prepare_indexes(config)
    assert said_so in str(caught.value)


def test_terms_are_asked_for_before_any_list_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_network(monkeypatch)
    with pytest.raises(ConfigError, match=r"say --set data\.members\.aistpp\.accept_terms=true"):
        prepare_indexes(build_run("paper"))
