"""Named corpora: what a policy selects, versions that stay as they were, pages of them, and clear errors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from catalog_rows import START, caption_row, clip_row, clock_at, open_catalog, sha, source_row, text_row

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_corpora import (
    COLUMNS,
    build_corpus,
    corpus_captions,
    corpus_version,
    corpus_versions,
    iter_corpus_captions,
)
from uniform_core.corpus.caption_pointer import activate
from uniform_core.corpus.caption_policy import CorpusPolicy, policy_named
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import digest, text_digest

CLIPS = tuple(f"{n:032x}" for n in range(1, 8))


@pytest.fixture
def catalog(tmp_path) -> Catalog:
    catalog = open_catalog(tmp_path)
    catalog.insert("clips", [clip_row(n, clip_id=clip_id) for n, clip_id in enumerate(CLIPS)])
    return catalog


def say(catalog: Catalog, n: int, text: str, captioner: str, **columns: Any) -> dict[str, Any]:
    """One caption of the clip of that number; the row."""
    key = text_digest(text)
    catalog.insert("caption_texts", [text_row(0, work_key=key, text_hash=key, text=text)])
    clip = clip_row(n, clip_id=CLIPS[n])
    values = {"work_key": digest([n, text, captioner, str(columns)]), "flags": [], **columns}
    row = caption_row(clip, key, captioner=captioner, **values)
    assert catalog.insert("captions", [row]) == 1
    return row


def policy(*selectors: dict[str, Any], **more: Any) -> CorpusPolicy:
    return CorpusPolicy.model_validate({"selectors": selectors, **more})


VLM_ELSE_LABEL = policy({"captioner": "vlm"}, {"captioner": "class_label"})


def build(catalog: Catalog, chosen: CorpusPolicy = VLM_ELSE_LABEL, name: str = "main"):
    return build_corpus(catalog, name, chosen, run_id="run", clock=clock_at(days=1))


def texts_of(catalog: Catalog, corpus: Any, **more: Any) -> dict[int, str]:
    rows = corpus_captions(catalog, corpus, columns=["clip_id", "text"], **more).to_pylist()
    return {CLIPS.index(row["clip_id"]): row["text"] for row in rows}


def test_the_first_selector_that_has_a_caption_stands_for_a_clip(catalog):
    say(catalog, 0, "a dog", "class_label")
    say(catalog, 0, "a brown dog barks", "vlm")
    say(catalog, 1, "a cat", "class_label")
    say(catalog, 2, "a horse", "another")
    version = build(catalog)
    assert texts_of(catalog, version) == {0: "a brown dog barks", 1: "a cat"}
    assert (version.clips, version.texts, version.by_selector) == (2, 2, (1, 1))


def test_of_several_captions_of_one_selector_the_last_written_stands(catalog):
    say(catalog, 0, "new", "vlm", created_at=START + timedelta(hours=1))
    say(catalog, 0, "old", "vlm")
    assert texts_of(catalog, build(catalog)) == {0: "new"}


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ({"revision": "pllava-*13b"}, {0: "large"}),
        ({"revision": "pllava-7b"}, {1: "small"}),
        ({"prompt": "ab12cd"}, {1: "small"}),
        ({"without": ["repetitive"]}, {0: "large"}),
        ({"statuses": ["refused"]}, {3: "i cannot"}),
        ({"bounds": {"n_words": {"least": 2}}}, {1: "small"}),
        ({"bounds": {"n_words": {"least": 1, "most": 1}, "agreement": {"most": 0.5}}}, {0: "large"}),
    ],
)
def test_a_selector_takes_what_fits_every_word_of_it(catalog, selector, said):
    say(catalog, 0, "large", "vlm", captioner_revision="pllava-x13b", flags=["too_short"], n_words=1, agreement=0.5)
    prompt = "ab12cd" + "0" * 26
    say(catalog, 1, "small", "vlm", captioner_revision="pllava-7b", prompt_hash=prompt, flags=["repetitive"], n_words=2)
    say(catalog, 2, "unmeasured", "vlm", captioner_revision="other", flags=None, status="truncated")
    say(catalog, 3, "i cannot", "vlm", captioner_revision="other", flags=["refusal"], status="refused")
    assert texts_of(catalog, build(catalog, policy({"captioner": "vlm", **selector}))) == said


def test_a_text_of_many_clips_is_flagged_and_left_to_the_next_selector_where_that_is_asked(catalog):
    for n in range(3):
        say(catalog, n, "i see a video", "vlm")
        say(catalog, n, f"class {n}", "class_label")
    say(catalog, 3, "a fox", "vlm")
    flagging = build(catalog, policy({"captioner": "vlm"}, duplicate_copies=3))
    rows = corpus_captions(catalog, flagging, columns=["copies", "flags"]).to_pylist()
    assert rows == [{"copies": 3, "flags": ["duplicate"]}] * 3 + [{"copies": 1, "flags": []}]
    assert (flagging.flagged, flagging.texts) == (3, 2)
    below = build(catalog, policy({"captioner": "vlm"}, duplicate_copies=4))
    assert below.flagged == 0
    strict = policy({"captioner": "vlm", "without": ["duplicate"]}, {"captioner": "class_label"}, duplicate_copies=3)
    version = build(catalog, strict)
    assert texts_of(catalog, version) == {0: "class 0", 1: "class 1", 2: "class 2", 3: "a fox"}
    assert version.by_selector == (1, 3)


def test_a_class_that_many_clips_have_is_no_duplicate(catalog):
    for n in range(3):
        say(catalog, n, "dog", "class_label")
        say(catalog, n + 3, "i see a video", "vlm")
    both = build(catalog, policy({"captioner": "vlm"}, {"captioner": "class_label"}, duplicate_copies=3))
    rows = corpus_captions(catalog, both, columns=["captioner", "copies", "flags"]).to_pylist()
    assert (
        rows
        == [{"captioner": "class_label", "copies": 3, "flags": []}] * 3
        + [{"captioner": "vlm", "copies": 3, "flags": ["duplicate"]}] * 3
    )
    assert both.flagged == 3


def test_a_caption_of_frames_that_are_no_longer_the_clips_does_not_stand_for_it(catalog):
    say(catalog, 0, "the old film", "vlm", frame_indices=[0, 4])
    say(catalog, 0, "the class", "class_label")
    assert texts_of(catalog, build(catalog)) == {0: "the old film"}
    later = {"created_at": START + timedelta(days=1), "work_key": digest("cut again")}
    fresh = clip_row(0, clip_id=CLIPS[0], source_sha256=sha("new"), clip_sha256=sha("new clip"), **later)
    catalog.insert("clips", [fresh])
    assert texts_of(catalog, build(catalog)) == {0: "the class"}
    same_source = {"clip_sha256": sha("paper form"), "source_sha256": sha("new"), "work_key": digest("other form")}
    catalog.insert("clips", [clip_row(0, clip_id=CLIPS[0], **same_source)])
    say(catalog, 0, "the new film in another form", "vlm", frame_indices=[0], clip_sha256=sha("paper form"))
    assert texts_of(catalog, build(catalog)) == {0: "the new film in another form"}


def test_a_version_reads_the_same_captions_though_new_ones_came(catalog):
    say(catalog, 0, "before", "vlm")
    first = build(catalog)
    say(catalog, 0, "after", "vlm", created_at=START + timedelta(hours=1))
    say(catalog, 1, "another", "vlm")
    second = build(catalog)
    assert texts_of(catalog, first) == texts_of(catalog, first.name) == {0: "before"}
    assert texts_of(catalog, second) == {0: "after", 1: "another"}
    assert first.content_digest != second.content_digest
    catalog.compact()
    catalog.vacuum(timedelta(0), grace=timedelta(0), clock=clock_at(days=3))
    assert texts_of(catalog, first) == {0: "before"}


def test_building_again_where_nothing_changed_is_the_same_version(catalog):
    say(catalog, 0, "same", "vlm")
    first = build(catalog)
    catalog.insert("clips", [clip_row(99)])
    assert build(catalog).version == first.version
    assert build(catalog, name="other").version != first.version
    assert [one.corpus for one in corpus_versions(catalog)] == ["main", "other"]


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_pages_are_the_whole(catalog, limit):
    for n in (0, 3, 4, 6):
        say(catalog, n, f"text {n}", "vlm")
    version = build(catalog)
    pages = list(iter_corpus_captions(catalog, version, columns=["clip_id", "text"], page=limit))
    assert [page.num_rows for page in pages[:-1]] == [limit] * (len(pages) - 1)
    said = [row["text"] for page in pages for row in page.to_pylist()]
    assert said == ["text 0", "text 3", "text 4", "text 6"]
    assert texts_of(catalog, version, after=CLIPS[0], until=CLIPS[4], limit=limit).keys() == set([3, 4][:limit])


def test_every_column_can_be_read(catalog):
    row = say(catalog, 0, "said", "vlm", n_words=1, seed=2, other_raw_text_hashes=[digest("x")])
    [read] = corpus_captions(catalog, build(catalog), columns=list(COLUMNS)).to_pylist()
    assert {name: read[name] for name in row} == row
    assert (read["text"], read["place"], read["copies"]) == ("said", 0, 1)


def test_what_was_taken_down_is_in_no_version(catalog):
    other = text_row(0, work_key=text_digest("a first try"), text_hash=text_digest("a first try"), text="a first try")
    catalog.insert("caption_texts", [other])
    for n in (0, 1):
        say(catalog, n, f"text {n}", "vlm", other_raw_text_hashes=[other["text_hash"]] if n == 0 else [])
    version = build(catalog)
    assert catalog.read("caption_texts").num_rows == 3
    catalog.insert("sources", [source_row(n, clip_ids=[CLIPS[n]]) for n in (0, 1)])
    catalog.bury("drawn", ["source-0"], reason="asked", run_id="run")
    assert texts_of(catalog, version) == {1: "text 1"}
    assert catalog.read("caption_texts")["text"].to_pylist() == ["text 1"]


def test_the_only_version_need_not_be_activated_and_of_two_one_has_to_be(catalog):
    say(catalog, 0, "said", "vlm")
    first = build(catalog)
    assert not first.is_active
    assert corpus_version(catalog, "main") == first
    say(catalog, 1, "said too", "vlm")
    second = build(catalog)
    assert second.version != first.version
    with pytest.raises(ConfigError, match=r"no active one.*Choose one by `uniform captions activate main@"):
        corpus_version(catalog, "main")
    assert activate(catalog, first.name, run_id="run").version == corpus_version(catalog, "main").version


def test_unknown_corpora_prompts_names_and_columns_are_said(catalog):
    say(catalog, 0, "said", "vlm")
    with pytest.raises(ConfigError, match=r"corpus 'main'.*no corpus named.*uniform captions build"):
        corpus_captions(catalog, "main")
    build(catalog)
    with pytest.raises(ConfigError, match=r"corpus 'mian'.*one of main"):
        corpus_captions(catalog, "mian")
    with pytest.raises(ConfigError, match=r"0 that begin so"):
        corpus_captions(catalog, "main@zz")
    with pytest.raises(ConfigError, match=r"prompt hash of captions.*abcdef"):
        build(catalog, policy({"captioner": "vlm", "prompt": "abcdef"}))
    with pytest.raises(ConfigError, match=r"stage fp of captions.*abcdef"):
        build(catalog, policy({"captioner": "vlm", "stage_fp": "abcdef"}))
    with pytest.raises(ConfigError, match=r"letters, digits"):
        build(catalog, name="../main")
    with pytest.raises(ConfigError, match=r"columns of a caption corpus.*colour"):
        corpus_captions(catalog, build(catalog), columns=["colour"])


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (
            {"captioner": "clas_label"},
            "a captioner: class_label, .*vlm; found 'clas_label'. Did you mean 'class_label'?",
        ),
        ({"captioner": "vlmm"}, "Did you mean 'vlm'?"),
        (
            {"captioner": "vlm", "revision": "pllava-_13b"},
            "captioner revision of captions: pllava-x13b; found pllava-_",
        ),
        ({"captioner": "vlm", "revision": "pllava"}, "captioner revision of captions: pllava-x13b; found pllava"),
        ({"captioner": "class_label", "revision": "*"}, "there are no captions of it yet"),
    ],
)
def test_a_selector_that_nothing_can_fit_is_refused(catalog, selector, message):
    say(catalog, 0, "said", "vlm", captioner_revision="pllava-x13b")
    with pytest.raises(ConfigError, match=message):
        build(catalog, policy({"captioner": "vlm"}, selector))
    assert corpus_versions(catalog) == []
    assert build(catalog, policy({"captioner": "vlm", "revision": "*x13*"}, {"captioner": "class_label"})).clips == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("no-such", "one of paper-pllava-13b"),
        ('{"selectors": []}', "selectors"),
        ('{"selectors": [{"captioner": "a", "without": ["ugly"]}]}', "without"),
        ('{"selectors": [{"captioner": "a", "statuses": ["empty"]}]}', "leave out empty"),
        ('{"selectors": [{"captioner": "a", "bounds": {"n_words": {}}}]}', "a least, a most"),
        ('{"selectors": [{"captioner": "a", "bounds": {"colour": {"least": 1}}}]}', "bounds.colour"),
        ("{", "policy"),
    ],
)
def test_a_wrong_policy_is_said(word, said):
    with pytest.raises(ConfigError, match=said):
        policy_named(word)


def test_a_policy_is_named_or_written_out():
    assert policy_named("label").selectors[0].captioner == "class_label"
    assert policy_named('{"selectors": [{"captioner": "vlm"}]}') == policy({"captioner": "vlm"})
