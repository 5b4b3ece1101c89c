"""The first rows of a diff: ranges of clips are looked at in turn, until there are as many rows as are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from caption_table import build, policy
from catalog_rows import caption_row, clip_row, open_catalog, text_row

from uniform_core.catalog import Catalog
from uniform_core.corpus import caption_diff
from uniform_core.corpus.caption_diff import KINDS, diff_rows
from uniform_core.corpus.caption_versions import CorpusVersion
from uniform_core.fingerprint import digest, text_digest

CLIPS = [f"{n:02x}{'0' * 30}" for n in range(3, 256, 11)]  # spread over all ids, as hashes are


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, CorpusVersion, CorpusVersion]:
    """Of every third clip B has another text, and of every fifth none."""
    catalog = open_catalog(tmp_path_factory.mktemp("diff"))
    clips = [clip_row(n, clip_id=clip_id) for n, clip_id in enumerate(CLIPS)]
    catalog.insert("clips", clips)
    said = {"a": {n: f"text {n}" for n in range(len(CLIPS))}}
    said["b"] = {n: f"other {n}" if n % 3 == 0 else text for n, text in said["a"].items() if n % 5}
    texts = {text_digest(text): text for of in said.values() for text in of.values()}
    catalog.insert(
        "caption_texts", [text_row(0, work_key=key, text_hash=key, text=text) for key, text in texts.items()]
    )
    for captioner, of in said.items():
        rows = [
            caption_row(clips[n], text_digest(text), captioner=captioner, work_key=digest([captioner, n]), flags=[])
            for n, text in of.items()
        ]
        catalog.insert("captions", rows)
    a, b = (build(catalog, policy({"captioner": name}), name=name) for name in said)
    return catalog, a, b


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> list[caption_diff.Range]:
    """The ranges that are read, where the first has two clips and the largest eight."""
    monkeypatch.setattr(caption_diff, "FIRST_CLIPS", 2)
    monkeypatch.setattr(caption_diff, "RANGE_CLIPS", 8)
    read: list[caption_diff.Range] = []
    pairs = caption_diff._pairs

    def noting(*given: Any, **words: Any) -> Any:
        read.append(words["among"])
        return pairs(*given, **words)

    monkeypatch.setattr(caption_diff, "_pairs", noting)
    return read


def kinds_of(among: Sequence[int]) -> list[tuple[str, str]]:
    named = ((CLIPS[n], "removed" if n % 5 == 0 else "changed" if n % 3 == 0 else "same") for n in among)
    return [(clip, kind) for clip, kind in named if kind != "same"]


@pytest.mark.parametrize("limit", [0, 1, 4, 9, 100])
@pytest.mark.parametrize(("first", "last"), [(None, None), (3, None), (None, 17), (3, 17), (22, None)])
def test_ranges_give_what_the_whole_does(versions, ranges, limit, first, last) -> None:
    catalog, a, b = versions
    after, until = (None if n is None else CLIPS[n] for n in (first, last))
    rows = diff_rows(catalog, a, b, limit=limit, after=after, until=until)
    among = range(0 if first is None else first + 1, len(CLIPS) if last is None else last + 1)
    assert [(row["clip_id"], row["kind"]) for row in rows.to_pylist()] == kinds_of(among)[:limit]
    assert {"text_a", "text_b", "flags_a", "flags_b"} <= set(rows.column_names)


def test_no_more_ranges_are_read_than_are_needed(versions, ranges) -> None:
    catalog, a, b = versions
    assert diff_rows(catalog, a, b, limit=1).num_rows == 1
    assert len(ranges) == 1
    assert diff_rows(catalog, a, b, limit=1, kinds=KINDS).num_rows == 1
    ranges.clear()
    diff_rows(catalog, a, b, limit=100)
    assert len(ranges) > 3
    assert (ranges[0].after, ranges[-1].until) == (None, None)
    assert [one.until for one in ranges[:-1]] == [one.after for one in ranges[1:]]
