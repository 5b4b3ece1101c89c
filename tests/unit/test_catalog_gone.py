"""What was taken down, as it is kept between sessions: not looked for twice in the same files, not believed blindly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from catalog_rows import caption_row, clip_row, open_catalog, stamp, text_row

from uniform_core.catalog import Catalog, gone_views
from uniform_core.catalog.delta import Snapshot
from uniform_core.catalog.gone_kept import GoneKeeper, Kept
from uniform_core.errors import StorageError
from uniform_core.fingerprint import digest

CLIPS = 6
Looked = list[tuple[str, dict[str, int]]]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Six clips of six sources, each with a text of its own; the first source was taken down."""
    made = open_catalog(tmp_path / "home")
    clips = [clip_row(n) for n in range(CLIPS)]
    made.insert("clips", clips)
    made.insert("caption_texts", [text_row(n) for n in range(CLIPS)])
    made.insert("captions", [caption_row(clip, text_row(n)["text_hash"]) for n, clip in enumerate(clips)])
    bury(made, 0)
    return made


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Looked:
    """What was derived, and from how many files of each table."""
    seen: Looked = []
    derived = gone_views._derived

    def noted(con: Any, kind: str, snapshots: Mapping[str, Snapshot], attached: set[str]) -> list[str]:
        seen.append((kind, {name: len(one.files) for name, one in snapshots.items()}))
        return derived(con, kind, snapshots, attached)

    monkeypatch.setattr(gone_views, "_derived", noted)
    return seen


def bury(catalog: Catalog, source: int) -> None:
    row = stamp(work_key=digest(["gone", source]), dataset="drawn", source_id=f"source-{source}", reason="asked")
    catalog.insert("tombstones", [row])


def again(catalog: Catalog) -> Catalog:
    """The same catalog as another process finds it."""
    return open_catalog(catalog.root.parent)


def seen_by(catalog: Catalog) -> list[int]:
    return [catalog.read(name).num_rows for name in ("clips", "captions", "caption_texts")]


def test_another_process_does_not_look_again(catalog: Catalog, looked: Looked) -> None:
    assert seen_by(catalog) == [CLIPS - 1] * 3
    assert [kind for kind, _ in looked] == ["gone_clips", "gone_texts"]
    looked.clear()
    assert seen_by(again(catalog)) == [CLIPS - 1] * 3
    assert looked == []


def test_of_clips_that_came_since_the_new_files_alone_are_looked_at(catalog: Catalog, looked: Looked) -> None:
    """One of them is of the source that was taken down: a writer that was late."""
    assert catalog.read("captions").num_rows == CLIPS - 1
    late = clip_row(0) | {"clip_id": digest("late"), "work_key": digest("late"), "start_ms": 2000, "end_ms": 4000}
    captions = [caption_row(clip, text_row(0)["text_hash"]) for clip in (late, clip_row(CLIPS))]
    catalog.insert("captions", captions)
    assert again(catalog).read("captions").num_rows == CLIPS + 1, "of a clip that nobody knows yet"
    looked.clear()
    catalog.insert("clips", [late, clip_row(CLIPS)])
    assert digest("late") not in again(catalog).read("captions")["clip_id"].to_pylist()
    assert looked == [("gone_clips", {"clips": 1})]
    assert again(catalog).read("captions").num_rows == CLIPS
    looked.clear()
    bury(catalog, 1)
    assert again(catalog).read("captions").num_rows == CLIPS - 1
    assert looked == [("gone_clips", {"tombstones": 2, "clips": 2})]


def test_after_a_compaction_all_is_looked_for(catalog: Catalog, looked: Looked) -> None:
    catalog.insert("clips", [clip_row(CLIPS)])
    assert catalog.read("captions").num_rows == CLIPS - 1
    catalog.compact("clips")
    looked.clear()
    assert catalog.read("captions").num_rows == CLIPS - 1
    assert looked == [("gone_clips", {"tombstones": 1, "clips": 1})]


def truncated(said: str) -> str:
    return said[: len(said) // 2]


def without_ids(said: str) -> str:
    return json.dumps(json.loads(said) | {"ids": []})


def of_another_format(said: str) -> str:
    return json.dumps(json.loads(said) | {"format": 99})


@pytest.mark.parametrize("damaged", [truncated, without_ids, of_another_format, lambda _: "[]", lambda _: "null"])
def test_what_was_altered_is_not_believed(catalog: Catalog, looked: Looked, damaged: Any) -> None:
    seen_by(catalog)
    for kind in ("gone_clips", "gone_texts"):
        kept = catalog.root / f".{kind}.json"
        kept.write_text(damaged(kept.read_text()))
    looked.clear()
    assert seen_by(again(catalog)) == [CLIPS - 1] * 3
    assert [kind for kind, _ in looked] == ["gone_clips", "gone_texts"]


def test_a_catalog_that_cannot_be_written_is_read(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, _text: str) -> None:
        raise StorageError(str(path), expected="a disk that takes it", found="EROFS", fix="-")

    monkeypatch.setattr("uniform_core.catalog.gone_kept.write_text", refused)
    assert seen_by(catalog) == seen_by(again(catalog)) == [CLIPS - 1] * 3
    assert not list(catalog.root.glob(".gone*"))


def test_too_many_ids_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uniform_core.catalog.gone_kept.KEPT_IDS", 2)
    keeper = GoneKeeper(tmp_path)
    keeper.keep("gone_clips", Kept({"clips": frozenset({"a"})}, ("1", "2", "3")))
    assert keeper.look("gone_clips") is None
    keeper.keep("gone_clips", Kept({"clips": frozenset({"a"})}, ("1", "2")))
    assert GoneKeeper(tmp_path).look("gone_clips") == Kept({"clips": frozenset({"a"})}, ("1", "2"))
