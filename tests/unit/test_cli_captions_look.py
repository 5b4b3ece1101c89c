"""`uniform captions browse`, `diff --page` and `export` as people call them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from caption_catalog import captioned_catalog, clip_id, corpus_of

from flows.browse.diff_page import film_inside, gather_diff, render_diff
from flows.cli import main
from uniform_core.corpus.caption_versions import corpus_version
from uniform_core.files import find_damage


@pytest.fixture
def home(tmp_path, monkeypatch):
    catalog = captioned_catalog(tmp_path / "home", 14, films=2)
    corpus_of(catalog, "label", "class_label")
    corpus_of(catalog, "model", "vlm", "class_label")
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path / "home"))
    return catalog


def name_of(catalog, corpus: str) -> str:
    return corpus_version(catalog, f"{corpus}@{version_of(catalog, corpus)}").name


def version_of(catalog, corpus: str) -> str:
    [row] = catalog.rows("SELECT version FROM corpora WHERE corpus = ?", parameters=[corpus])
    return row["version"]


# A shell's background job, as a test run may be one, has Ctrl-C ignored, and so have its children.
WITH_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from flows.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_browse_says_where_serves_until_ctrl_c_and_ends_well(home):
    words = [sys.executable, "-c", WITH_CTRL_C, "captions", "browse", name_of(home, "model"), name_of(home, "label")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        page = urlopen(url, timeout=60).read().decode()
        assert page.count("data-clip") == 14
        diff = urlopen(f"{url}diff?a={name_of(home, 'label')}&b={name_of(home, 'model')}", timeout=60).read().decode()
        assert "What changed" in diff
        assert f"/film/{clip_id(1)}.mp4" in diff
        with pytest.raises(HTTPError, match="400"):
            urlopen(f"{url}diff?a=none&b=none", timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["browse", "none"], "no corpus named 'none'"),
        (["browse", "a", "b", "c"], "one corpus, or two"),
        (["export", "none", "--to", "x"], "no corpus named 'none'"),
        (["export"], "--to"),
        (["export", "--to", "x"], "one corpus"),
        (["export", "model", "--to", "x", "--form", "tape"], "tape"),
        (["browse", "--to", "x"], "--to"),
    ],
)
def test_a_wrong_call_is_said_before_any_work(home, words, said, capsys):
    try:
        code = main(["captions", *words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_without_a_corpus_it_says_how_one_is_built(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    assert main(["captions", "browse"]) == 2
    assert "uniform captions build" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["parquet", "csv", "hf", "webdataset"])
def test_export_writes_the_form_and_a_second_call_finds_it_done(home, tmp_path, form, capsys):
    if form == "webdataset":
        for n in range(3, 15):
            (home.media_dir / "clips" / f"{n}.mp4").write_bytes(b"film")
    folder = tmp_path / "out"
    words = ["captions", "export", name_of(home, "model"), "--to", str(folder), "--form", form, "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["captions"] == 14
    assert find_damage(folder) is None
    assert set(said["files"]) == set(json.loads((folder / "COMPLETE").read_text()))
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == said
    assert main(["captions", "export", name_of(home, "label"), "--to", str(folder), "--form", form]) == 2
    assert f"an export of {name_of(home, 'model')} as {form}" in " ".join(capsys.readouterr().err.split())


def test_the_diff_is_a_page_that_asks_for_nothing_and_shows_what_changed(home, tmp_path, browser, capsys):
    path = tmp_path / "diff.html"
    words = ["captions", "diff", name_of(home, "label"), name_of(home, "model"), "--page", str(path)]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(path)
    for width in (1280, 390):
        browser.look(width_px=width, height_px=900)
        browser.open(path)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.events("Runtime.exceptionThrown", "Log.entryAdded") == []
        asked = {event["request"]["url"].split(":")[0] for event in browser.events("Network.requestWillBeSent")}
        assert asked <= {"file", "data"}
    numbers = browser.run("[...document.querySelectorAll('.tiles .number')].slice(0, 4).map(n => n.innerText)")
    assert numbers == ["13", "1", "0", "0"], "clip 10 has the label's words in both"
    assert browser.run("[...document.querySelectorAll('.entry')].length") == 12
    film = "document.querySelector('.entry video')"
    browser.settle()
    assert browser.run(f"{film}.videoWidth") > 0
    words = browser.run("[...document.querySelectorAll('.vocabulary')].map(v => v.innerText)")
    assert "moves" in words[0]
    assert words[1] == "", "clip 10 says the words of a label in both"
    assert browser.run("document.querySelectorAll('img').length") == 0


def test_a_diff_of_a_corpus_with_itself_shows_that_nothing_changed(home):
    one = corpus_version(home, name_of(home, "label"))
    page = gather_diff(home, one, one, film=film_inside(home.media_dir))
    assert (page.diff.changed, page.diff.same, page.examples) == (0, 14, ())
    assert sum(bar.counts[0] for bar in page.bars) == 14
    assert "No clip changed" in render_diff(page, is_file=True)


def test_a_picture_of_the_page_is_written_and_the_page_ends(home, tmp_path, browser):
    picture = tmp_path / "page.png"
    words = ["captions", "browse", name_of(home, "model"), name_of(home, "label"), "--screenshot", str(picture)]
    assert main(words) == 0
    shown_HWC = cv2.imread(str(picture))
    assert shown_HWC.shape == (900, 1280, 3)
    assert len(np.unique(shown_HWC.reshape(-1, 3), axis=0)) > 50, "text and pictures, not an empty page"
