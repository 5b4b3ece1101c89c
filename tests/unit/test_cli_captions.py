"""`uniform captions`: whose there are, what was said of one clip, and the beginnings of clip ids."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import pytest
from catalog_rows import caption_row, clip_row, open_catalog, text_row

from flows.cli import captions as captions_command
from flows.cli.main import main
from uniform_core.fingerprint import digest

IDS = ("aa11" + "0" * 28, "aa22" + "0" * 28)


@pytest.fixture
def catalog(home):
    catalog = open_catalog(home)
    clips = [clip_row(n, clip_id=clip_id) for n, clip_id in enumerate(IDS)]
    texts = [text_row(0, text="a ball \x1b[31m bounces"), text_row(1)]
    catalog.insert("clips", clips)
    catalog.insert("caption_texts", texts)
    rows = [caption_row(clip, texts[0]["text_hash"]) for clip in clips]
    other = digest("another captioner")
    rows.append(caption_row(clips[0], texts[1]["text_hash"], captioner="sidecar", stage_fp=other))
    rows.append(caption_row(clips[1], None, captioner="sidecar", stage_fp=other, status="empty"))
    catalog.insert("captions", rows)
    return catalog


def test_the_list_counts_captions_by_status_and_distinct_texts(catalog):
    found = {row["captioner"]: row for row in captions_command.corpora(catalog)}
    assert (found["class_label"]["captions"], found["class_label"]["distinct_texts"]) == (2, 1)
    assert found["sidecar"]["by_status"] == {"empty": 1, "success": 1}
    assert found["sidecar"]["distinct_texts"] == 1
    assert found["sidecar"]["last_write"] == "2026-01-01 00:00:00"


def test_the_list_is_a_table_or_json(catalog, capsys):
    assert main(["captions", "list"]) == 0
    assert "1 empty, 1 success" in capsys.readouterr().out
    assert main(["captions", "list", "--json"]) == 0
    assert {row["captioner"] for row in json.loads(capsys.readouterr().out)} == {"class_label", "sidecar"}


def test_an_empty_catalog_has_no_captions(home, capsys):
    assert main(["captions", "list"]) == 0
    assert "(nothing)" in capsys.readouterr().out


def test_show_says_all_that_was_said_of_a_clip(catalog, capsys):
    assert main(["captions", "show", "aa1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["clip_id"] == IDS[0]
    assert {(row["captioner"], row["text"]) for row in shown["captions"]} == {
        ("class_label", "a ball \x1b[31m bounces"),
        ("sidecar", "text number 1"),
    }


def test_show_prints_no_control_characters_and_names_a_missing_text(catalog, capsys):
    assert main(["captions", "show", "aa2"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "(no text)" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "aa"], "2 that begin so"),
        (["show", "ff"], "none that begins so"),
        (["show"], "a clip id"),
        (["list", "aa1"], "names, which is of show"),
    ],
)
def test_a_wrong_clip_is_a_wrong_call(catalog, capsys, words, said):
    assert main(["captions", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_build_is_the_stage(monkeypatch):
    import flows.cli.work

    seen = []
    monkeypatch.setattr(
        flows.cli.work,
        "stage",
        lambda arguments, afterwards: seen.append((arguments.command, arguments.overrides, afterwards)) or 0,
    )
    words = {"corpus": None, "policy": None, "activate": False, "select_only": False, "overrides": ["corpus=x", "a=b"]}
    assert captions_command.captions(argparse.Namespace(action="build", command="captions", **words)) == 0
    assert seen == [("captions", ["a=b"], None)]


def test_looking_needs_no_torch(catalog):
    code = "import sys; from flows.cli.main import main; main(['captions', 'list']); main(['captions', 'show', 'aa1']);"
    code += "assert not {'torch', 'ray', 'prefect'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
