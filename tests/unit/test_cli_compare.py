"""`uniform compare`: its table, its JSON value, its page, and what it says of runs that cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog_rows import clip_row, open_catalog, stamp
from command_line import said
from report_records import SPEC, film
from scored_clips import FVD, KL, SYNC, A, B, evaluation_rows

from flows.cli.main import main
from flows.compare import find
from flows.compare.page import ClipCard, ComparePage, Films, Part, gather_page, render_page
from flows.report.data import LostTile, Tile
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.comparison import compare
from uniform_core.corpus.evaluations import Contender, evaluations
from uniform_core.corpus.watching import Watcher
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import digest, file_sha256
from uniform_core.media import write_mp4

PLAYS = """(async () => {
  const [first, second] = document.querySelectorAll("video");
  const plays = film => new Promise((done, fails) => {
    film.addEventListener("timeupdate", () => film.currentTime > 0.05 && done());
    film.addEventListener("error", () => fails(film.error));
    film.play();
  });
  await plays(first);
  await plays(second);
  return [first.paused, second.videoWidth > 0];
})()"""


def add(catalog: Catalog, evaluation: str, name: str, values: Any, **columns: Any) -> None:
    score, rows = evaluation_rows(evaluation, name=name, values=values, **columns)
    catalog.insert("scores", [score])
    catalog.insert("clip_scores", rows)


@pytest.fixture
def catalog(home: Path) -> Catalog:
    """Two evaluations of three clips, each with two measures; B's first clip is better, its last one worse."""
    catalog = open_catalog(home)
    catalog.insert("clips", [clip_row(n, label=f"class_{n}") for n in range(3)])
    add(catalog, A, SYNC, [0.5, 0.5, 0.5])
    add(catalog, A, KL, [1.0, 1.0, 1.0])
    add(catalog, B, SYNC, [0.9, 0.5, 0.1])
    add(catalog, B, KL, [0.5, 1.0, 1.5])
    add(catalog, B, FVD, [3.0])
    return catalog


def test_it_prints_scores_clips_and_what_cannot_be_compared(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    code, words = said(["compare", A[:8], B[:8]], capsys)
    assert code == 0
    assert f"{B[:8]} against {A[:8]}" in words
    assert f"v2a {SYNC} 0.5 0.5 0 " in words
    better, worse = words.index("clips that got better"), words.index("clips that got worse")
    first, last = (clip_row(n)["clip_id"][:12] for n in (0, 2))
    assert better < words.index(f"v2a {first} class_0") < worse < words.index(f"v2a {last} class_2")
    assert f"v2a {FVD} only {B[:8]} has it" in words


def test_its_json_has_the_same_numbers(catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", A, B, "--json", "--top", "1"]) == 0
    value = json.loads(capsys.readouterr().out)
    [other] = value["others"]
    assert (value["base"]["run"], other["other"]["run"]) == (A, B)
    by_name = {score["name"]: score for score in other["scores"]}
    assert by_name[KL]["difference"] == 0.0
    assert by_name[KL]["pairs"] == 3
    assert by_name[KL]["base"]["value"] == 1.0
    assert [clip["clip_id"] for clip in other["got_better"]] == [clip_row(0)["clip_id"]]
    assert [clip["label"] for clip in other["got_worse"]] == ["class_2"]
    assert [one["name"] for one in other["not_comparable"]] == [FVD]
    assert {one["name"]: (one["better"], one["worse"], one["same"]) for one in other["measures"]}[SYNC] == (1, 1, 1)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([A], 2, "expected two runs or more"),
        ([], 2, "expected two runs or more"),
        ([A, "nosuch"], 2, f"the newest evaluations are {A[:12]}"),
        ([A, A[:10]], 2, "expected runs that differ"),
        ([A, f"{B}/retrieval"], 2, "none of that name"),
        ([A, "nano"], 2, "no evaluation"),
        ([A, "nano@train.stops=3"], 2, "train.stops"),
        ([A, "c" * 32], 1, "at least one score that both have under one protocol"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: list[str], code: int, says: str, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    add(catalog, "c" * 32, SYNC, [0.5], protocol_hash=digest("another"))
    found, text = said(["compare", *words], capsys)
    assert found == code
    assert says in text


def test_an_mlflow_run_is_asked_for_only_where_the_catalog_knows_no_such_id(
    catalog: Catalog, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(find, "_ask_mlflow", lambda _, run_id: asked.append(run_id) or B)
    unknown = "0123" * 8
    assert said(["compare", A, unknown], capsys)[0] == 2
    assert asked == [], "there is no MLflow to ask"
    (home / "mlflow.db").touch()
    assert said(["compare", A, unknown], capsys)[0] == 0
    assert asked == [unknown]


def test_the_clip_that_a_number_was_measured_in_is_shown_picture_and_sound_of_different_files(home: Path) -> None:
    catalog, config = open_catalog(home), build_run("nano")
    spec = config.spec
    rates = {"video_rate_hz": spec.video_rate_hz, "audio_rate_hz": spec.audio_rate_hz}
    rows = []
    for n, level in enumerate((40, 200)):
        frames_THWC = np.full((spec.frames, spec.height_px, spec.width_px, 3), level, np.uint8)
        wave_N = np.full(spec.samples, n / 2, np.float32)
        path = write_mp4(catalog.media_dir / f"made/{n}.mp4", frames_THWC, wave_N, **rates)
        content = {"path": f"made/{n}.mp4", "file_sha256": file_sha256(path), "bytes": path.stat().st_size}
        rows.append(
            stamp(
                **content,
                work_key=digest(["made", n]),
                model_id=digest("m"),
                task="v2a",
                system="uniform",
                clip_id=clip_row(n)["clip_id"],
                seed=0,
                steps=1,
                guidance=1.0,
            )
        )
    catalog.insert("generations", rows)
    catalog.insert("clips", [clip_row(0)])
    score, clips = evaluation_rows(A, name=SYNC, values=[0.5])
    clips[0] |= {"video_sha256": rows[1]["file_sha256"], "audio_sha256": rows[0]["file_sha256"]}
    catalog.insert("scores", [score])
    catalog.insert("clip_scores", clips)
    add(catalog, B, SYNC, [0.9])
    base, other = (Contender(one.evaluation, one, "uniform") for one in sorted(evaluations(catalog), key=str))
    found = compare(catalog, base, other)
    with Watcher(config, catalog.media_dir) as watcher:
        seen = Films(catalog, config, watcher)._watched(base, found.clips[0])
        assert not isinstance(seen, str)
        assert abs(float(seen[0].mean()) - 200) < 5, "the picture of the second file"
        assert abs(float(seen[1].mean())) < 0.05, "the sound of the first"
        card = Films(catalog, config, watcher).card(found, found.clips[0])
    assert [(name, view.is_lost) for name, view in card.views] == [
        ("Real clip", True),
        ("Base", False),
        ("Other", True),
    ]
    assert "names no file" in card.views[2][1].reason  # type: ignore[union-attr]


def test_a_page_without_a_clip_or_a_model_is_refused(catalog: Catalog) -> None:
    base, other = (Contender(one.evaluation, one, "uniform") for one in evaluations(catalog)[:2])
    with pytest.raises(ConfigError, match="at least one run whose model is here"):
        gather_page(catalog, [compare(catalog, base, other)], top=1)
    add(catalog, "d" * 32, SYNC, {77: 0.5, 78: 0.5})
    stranger = next(one for one in evaluations(catalog) if one.evaluation == "d" * 32)
    with pytest.raises(ConfigError, match="no clip in common"):
        gather_page(catalog, [compare(catalog, base, Contender("stranger", stranger, "uniform"))], top=1)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two runs with films that play, one that cannot be shown, and a name that would be markup."""
    home = tmp_path_factory.mktemp("compared")
    catalog = open_catalog(home)
    for evaluation, values in ((A, [0.5, 0.5, 0.5]), (B, [0.9, 0.5, 0.1])):
        add(catalog, evaluation, SYNC, values)
    add(catalog, B, FVD, [3.0])
    by_id = {one.evaluation: one for one in evaluations(catalog)}
    base = Contender("<b>base</b> with a name that is rather long", by_id[A], "uniform")
    found = compare(catalog, base, Contender("other", by_id[B], "uniform"))
    lost = LostTile("v2a", "UniForm, other", "its file is gone")

    def card(change: Any, other: Tile | LostTile) -> ClipCard:
        views = (("Real clip", film("truth", seed=0)), ("Base", film("v2a", seed=1)), ("Other", other))
        return ClipCard(change, "ball", "procedural/one", views)

    part = Part(found, (card(found.clips[0], film("v2a", seed=2)),), (card(found.clips[-1], lost),))
    path = home / "compared.html"
    path.write_text(render_page(ComparePage(base, (part,), "2030-01-01 00:00 UTC", SPEC.duration_s)), "utf-8")
    return path


def test_everything_on_the_page_is_escaped(page: Path) -> None:
    text = page.read_text()
    assert "<b>base</b>" not in text
    assert "&lt;b&gt;base&lt;/b&gt;" in text
    assert "its file is gone" in text


@pytest.mark.parametrize(("width_px", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_opens_without_a_word_and_its_films_play(width_px: int, scheme: str, browser: Any, page: Path) -> None:
    browser.look(width_px=width_px, height_px=844, scheme=scheme)
    browser.open(page)
    assert browser.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    asked = {event["request"]["url"].split(":")[0] for event in browser.events("Network.requestWillBeSent")}
    assert asked <= {"file", "data"}
    assert browser.run(PLAYS) == [True, True], "one at a time"
    assert browser.run("document.documentElement.scrollWidth") == width_px
    light = browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128")
    assert light is (scheme == "light")
    assert browser.run("document.querySelectorAll('article.clip').length") == 2


def test_the_page_is_used_by_keys_alone(browser: Any, page: Path) -> None:
    browser.look(width_px=1280, height_px=900)
    browser.open(page)
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    browser.press("Enter", text="\r")
    assert browser.run("location.hash") == "#scores-1"
    browser.run("document.querySelectorAll('#scores-1 thead button')[4].focus()")
    browser.press("Enter", text="\r")
    assert browser.run("document.activeElement.closest('th').ariaSort") == "ascending"
