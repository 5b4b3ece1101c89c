"""What the command line says of an index: its plan, what is missing, what is asked for again or taken down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from catalog_rows import STAGE_FP, stamp
from command_line import said
from fetch_bench import download_row
from fetch_index import short_index

from flows.cli.main import main
from uniform_core.build import build_run
from uniform_core.catalog import Catalog, Failure
from uniform_core.corpus.fetching import fetch_candidates, fetched_items
from uniform_core.corpus.inputs import list_items
from uniform_core.errors import Rejection
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
    assert listed.json([*words, "--dry-run"], capsys) == {"would_request": 1, "not_due": 1}
    assert len(listed.catalog.failed_items()) == 3, "a dry run asks for nothing"
    assert "1 stay as they are" in said([*words, "--dry-run"], capsys)[1]
    assert listed.json(words, capsys) == {"requested": 1, "not_due": 1}
    assert listed.json([*words, "--early"], capsys) == {"requested": 1, "not_due": 0}
    assert [row["error_class"] for row in listed.catalog.failed_items()] == ["geo"]
    shown = listed.json(["failures", "list", "--where", "tries = 1"], capsys)
    assert [row["error_class"] for row in shown] == ["geo"]
    for wrong in ("error_clas = 'dead'", "true); DELETE FROM attempts; SELECT (true", ""):
        code, text = said(["failures", "retry", "--where", wrong], capsys)
        assert (code, "--where: expected" in text) == (2, True), wrong
    assert listed.catalog.read("attempts").num_rows == 5


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
