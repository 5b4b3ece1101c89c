"""Laws of caption corpora: a selection and a diff equal what a few lines of Python say of the same rows."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from caption_table import CLIPS, add_clips, build, policy, say_all
from catalog_rows import open_catalog
from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.captions.measures import distinct_runs, overlap
from uniform_core.corpus.caption_corpora import corpus_captions, iter_corpus_captions
from uniform_core.corpus.caption_diff import KINDS, diff_corpora, diff_rows
from uniform_core.fingerprint import set_digest, text_digest

WORDS = st.sampled_from(["a dog", "a cat", "one fox runs", "rain", "the sea and rain"])
SAID = st.dictionaries(st.integers(0, 7), WORDS, max_size=8)


def read(catalog: Any, version: Any) -> dict[str, str]:
    rows = corpus_captions(catalog, version, columns=["clip_id", "text"]).to_pylist()
    return {row["clip_id"]: row["text"] for row in rows}


@settings(max_examples=5, deadline=None)
@given(first=SAID, second=SAID, labels=st.dictionaries(st.integers(0, 7), WORDS, max_size=8), most=st.integers(2, 4))
def test_selections_and_their_diff_are_as_python_says(first, second, labels, most):
    with tempfile.TemporaryDirectory() as folder:
        catalog = open_catalog(Path(folder))
        add_clips(catalog, ["dog"] * 8)
        for captioner, said in (("sidecar", first), ("pllava", second), ("class_label", labels)):
            if said:
                say_all(catalog, said, captioner)
        strict = {"captioner": "sidecar", "without": ["duplicate"]}
        a = build(catalog, policy(strict, {"captioner": "class_label"}, duplicate_copies=most), name="a")
        b = build(catalog, policy({"captioner": "pllava"}, duplicate_copies=most), name="b")
        copies = Counter(first.values())
        kept = {n: text for n, text in first.items() if copies[text] < most}
        of_a = {CLIPS[n]: text for n, text in {**labels, **kept}.items()}
        of_b = {CLIPS[n]: text for n, text in second.items()}
        assert (read(catalog, a), read(catalog, b)) == (of_a, of_b)
        assert (a.clips, a.texts, b.clips, b.texts) == (
            len(of_a),
            len({*of_a.values()}),
            len(of_b),
            len({*of_b.values()}),
        )
        pages = [page for size in (1, 3) for page in iter_corpus_captions(catalog, a, columns=["text"], page=size)]
        assert [text for page in pages for text in page["text"].to_pylist()] == [of_a[key] for key in sorted(of_a)] * 2

        found, back, itself = diff_corpora(catalog, a, b), diff_corpora(catalog, b, a), diff_corpora(catalog, a, a)
        kinds = {
            clip: "added" if clip not in of_a else "removed" if clip not in of_b
            else "same" if of_a[clip] == of_b[clip] else "changed"
            for clip in {*of_a, *of_b}
        }  # fmt: skip
        assert {kind: getattr(found, kind) for kind in KINDS} == {k: Counter(kinds.values())[k] for k in KINDS}
        assert (found.added, found.removed, found.a, found.gained) == (back.removed, back.added, back.b, back.lost)
        assert (itself.same, itself.changed, itself.added, itself.removed) == (a.clips, 0, 0, 0)
        assert itself.gained is not None
        assert itself.gained.words == 0
        words = [{word for text in side.values() for word in text.split()} for side in (of_a, of_b)]
        assert found.gained is not None
        assert {*found.gained.commonest} == words[1] - words[0]
        rows = diff_rows(catalog, a, b, kinds=KINDS, limit=100).to_pylist()
        assert {row["clip_id"]: row["kind"] for row in rows} == kinds
        assert all(row["text_a"] == of_a.get(row["clip_id"]) for row in rows)
        assert all(row["text_b"] == of_b.get(row["clip_id"]) for row in rows)


def test_the_digest_is_that_of_the_set_of_its_captions(tmp_path):
    catalog = open_catalog(tmp_path)
    add_clips(catalog, ["dog"] * 2)
    say_all(catalog, {0: "a dog", 1: "a cat"})
    version = build(catalog)
    rows = corpus_captions(catalog, version, columns=["clip_id", "work_key", "text_hash", "text"]).to_pylist()
    assert all(row["text_hash"] == text_digest(row["text"]) for row in rows)
    members = ["\n".join(row[name] for name in ("clip_id", "work_key", "text_hash")) for row in rows]
    assert version.content_digest == set_digest(members)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_shares_are_shares(words, prompt):
    for share in (distinct_runs(words), overlap(words, prompt)):
        assert share is None or 0.0 <= share <= 1.0
    assert overlap(words, words) in (None, 1.0)
    assert (distinct_runs(words) is None) == (len(words) < 4)
