"""`uniform captions` on corpora: build without captioning, list, show, diff, activate, rollback, sample."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from caption_table import add_clips, say_all
from catalog_rows import START, open_catalog

from flows.cli.main import main
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_sample import sample_captions
from uniform_core.corpus.caption_versions import corpus_version

VLM = '{"selectors": [{"captioner": "vlm"}]}'
LABELS = ("dog", "dog", "dog", "cat", None)
TEXTS = {0: "a brown dog", 1: "a dog \x1b[31m barks", 2: "a dog", 3: "a cat", 4: "something"}


@pytest.fixture
def catalog(home) -> Catalog:
    catalog = open_catalog(home)
    add_clips(catalog, LABELS)
    say_all(catalog, TEXTS, "vlm")
    return catalog


def said(capsys, *words: str, code: int = 0) -> str:
    assert main(["captions", *words]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else " ".join(err.split())


def value(capsys, *words: str):
    return json.loads(said(capsys, *words, "--json"))


def build(capsys, *more: str):
    return value(capsys, "build", "--corpus", "main", "--policy", VLM, "--select-only", *more)["corpus"]


def test_a_corpus_from_its_making_to_its_being_put_back(catalog, capsys):
    first = build(capsys, "--activate")
    assert (first["clips"], first["is_active"], first["by_selector"]) == (5, True, [5])
    later = {"created_at": START.replace(year=2027)}
    say_all(catalog, {0: "a large brown dog", 4: "something"}, "vlm", **later)
    second = build(capsys)
    assert (second["is_active"], second["version"] == first["version"]) == (False, False)
    assert [row["version"] for row in value(capsys, "list", "--corpora")] == [first["version"], second["version"]]
    found = value(capsys, "diff", first["name"], second["name"])
    assert [found[kind] for kind in ("same", "changed", "added", "removed")] == [4, 1, 0, 0]
    assert found["gained"] == {"words": 1, "commonest": {"large": 1}}
    assert [(row["text_a"], row["text_b"]) for row in found["examples"]] == [("a brown dog", "a large brown dog")]
    assert value(capsys, "diff", "--by-hash", first["name"], second["name"])["gained"] is None
    assert value(capsys, "activate", "main")["version"] == second["version"]
    assert value(capsys, "rollback", "main")["version"] == first["version"]
    shown = value(capsys, "show", "--corpus", "main")
    assert [event["kind"] for event in shown["events"]] == ["activate", "activate", "rollback"]


def test_people_see_tables_and_no_control_characters(catalog, capsys):
    name = build(capsys)["name"]
    for words in (["list"], ["list", "--corpora"], ["show", "--corpus", name], ["diff", name, name], ["sample", name]):
        out = said(capsys, *words)
        assert "\x1b" not in out
        assert "main@" in out or words[0] == "sample"
    made = said(capsys, "build", "--corpus", "main", "--policy", VLM, "--select-only")
    assert "5 captions (5 of vlm), 5 different, 0 flagged; not active: `uniform captions activate main@" in made


def test_a_sample_takes_the_classes_in_turn_and_the_seed_decides(catalog, capsys):
    version = corpus_version(catalog, build(capsys)["name"])
    rows = sample_captions(catalog, version, count=3).to_pylist()
    assert {row["label"] for row in rows} == {"dog", "cat", None}
    every = sample_captions(catalog, version, count=100).to_pylist()
    assert [row["label"] for row in every].count("dog") == 3
    assert {row["text"] for row in every} == set(TEXTS.values())
    assert every[:3] == rows
    picks = [sample_captions(catalog, version, count=3, seed=seed).to_pylist() for seed in range(6)]
    assert picks[0] == rows
    assert len({str(pick) for pick in picks}) > 1
    assert len(value(capsys, "sample", version.name, "--count", "2", "--seed", "4")) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "--policy", "label"], "--corpus NAME beside --policy"),
        (["build", "--corpus", "a b", "--select-only"], "letters, digits"),
        (["build", "--corpus", "x", "--policy", "no-such", "--select-only"], "one of paper-pllava-13b"),
        (["build", "--corpus", "x", "--select-only"], "there are no captions of it yet"),
        (["build", "--corpus", "x", "--policy", '{"selectors": [{"captioner": "vml"}]}'], "Did you mean 'vlm'?"),
        (["diff", "main"], "2 corpora"),
        (["diff", "a", "b"], "no corpus named 'a'"),
        (["activate"], "one corpus"),
        (["rollback", "main"], "no corpus named 'main'"),
        (["sample", "main", "--count", "0"], "--count"),
        (["browse", "main", "--port", "70000"], "--port: expected a whole number from 0 to 65535; found '70000'"),
        (["show", "aa", "--corpus", "main"], "a clip, or --corpus"),
        (["show", "--corpus", "main"], "no corpus named 'main'"),
        (["list", "--by-hash"], "--by-hash, which is of diff"),
    ],
)
def test_wrong_words_are_told(catalog, capsys, words, message):
    import re

    assert re.search(message, said(capsys, *words, code=2))


def test_looking_at_corpora_needs_no_torch(catalog, capsys):
    name = build(capsys)["name"]
    calls = [["list", "--corpora"], ["show", "--corpus", name], ["diff", name, name], ["sample", name]]
    code = "import sys; from flows.cli.main import main; "
    code += f"assert not any(main(['captions', *words]) for words in {calls!r}); "
    code += "assert not {'torch', 'ray', 'prefect'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
