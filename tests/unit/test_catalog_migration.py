"""A catalog of format 1, as that program wrote it, is brought to today's, and nothing that it holds is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from catalog_rows import caption_row, clip_row, clock_at, open_catalog, score_row, source_row, text_row
from deltalake import DeltaTable
from scored_clips import KL, evaluation_rows

from uniform_core.catalog import Catalog, formats
from uniform_core.catalog.batch import checked_batch
from uniform_core.catalog.delta import DeltaTables
from uniform_core.catalog.formats import CAPTION_COLUMNS
from uniform_core.catalog.tables import Table, all_tables
from uniform_core.fingerprint import digest
from uniform_core.media.prints import PICTURE_HEX

NEW = {
    "clips": {"video_id", "picture_hash", "sound_print"},
    "sources": {"video_id"},
    "captions": set(CAPTION_COLUMNS),
    "scores": {"clips_digest"},
    "clip_scores": {"clip_name"},
}
CAPTION = caption_row(clip_row(1), text_row(1)["text_hash"])
[CLIP_SCORE] = evaluation_rows("a" * 32, name=KL, values=[1.0])[1]


def catalog_of_format_1(home: Path) -> Path:
    """The root of a catalog whose tables lack the columns that came with format 2."""
    root = home / "catalog"
    root.mkdir(parents=True)
    rows = {"clips": clip_row(1), "sources": source_row(1), "caption_texts": text_row(1), "captions": CAPTION}
    rows |= {"scores": score_row(1), "clip_scores": CLIP_SCORE}
    for name, row in rows.items():
        now = all_tables()[name]
        columns = tuple(column for column in now.columns if column.name not in NEW.get(name, ()))
        before = Table(name=name, ddl="", columns=columns, checks=(), output=now.output)
        of_then = {column: value for column, value in row.items() if column not in NEW.get(name, ())}
        assert DeltaTables(root).insert(before, checked_batch(before, [of_then])) == 1
    record = {"migrations": [{"format": 1, "name": "of that day", "applied_at": "2026-01-01T00:00:00+00:00"}]}
    (root / "format.json").write_text(json.dumps(record))
    return root


def columns_on_disk(root: Path, table: str) -> set[str]:
    return {field.name for field in DeltaTable(str(root / table)).schema().fields}


def test_the_new_columns_are_there_and_null_and_the_old_rows_stay(tmp_path: Path) -> None:
    root = catalog_of_format_1(tmp_path)
    assert not columns_on_disk(root, "clips") & NEW["clips"]
    catalog = open_catalog(tmp_path)
    steps = json.loads((root / "format.json").read_text())["migrations"]
    assert [step["format"] for step in steps] == list(range(1, formats.FORMAT + 1))
    for table, names in NEW.items():
        assert names <= columns_on_disk(root, table)
    [clip] = catalog.read("clips").to_pylist()
    assert {name: clip[name] for name in clip_row(1)} == clip_row(1)
    assert [clip[name] for name in sorted(NEW["clips"])] == [None] * 3
    fresh = clip_row(2, picture_hash="ab" * (PICTURE_HEX // 2), sound_print="0123", video_id="dQw4w9WgXcQ")
    assert catalog.insert("clips", [fresh]) == 1
    read = {row["work_key"]: row["picture_hash"] for row in catalog.read("clips").to_pylist()}
    assert read == {clip["work_key"]: None, fresh["work_key"]: fresh["picture_hash"]}
    [caption] = catalog.read("captions").to_pylist()
    assert {name: caption[name] for name in CAPTION} == CAPTION
    assert [caption[name] for name in CAPTION_COLUMNS] == [None] * len(CAPTION_COLUMNS)
    measured = {
        "work_key": digest("measured"),
        "flags": ["too_short"],
        "other_raw_text_hashes": [],
        "seed": 3,
        "tries": 2,
    }
    assert catalog.insert("captions", [{**CAPTION, **measured, "n_words": 3, "agreement": 0.5}]) == 1
    flags = {row["work_key"]: row["flags"] for row in catalog.read("captions").to_pylist()}
    assert flags == {CAPTION["work_key"]: None, digest("measured"): ["too_short"]}
    [measured_clip] = catalog.read("clip_scores").to_pylist()
    assert measured_clip == {**CLIP_SCORE, "clip_name": None}
    assert catalog.verify(deep=False) == [f for f in catalog.verify(deep=False) if f.check == "media"]


def test_a_migration_that_was_killed_before_its_record_runs_again(tmp_path: Path) -> None:
    root = catalog_of_format_1(tmp_path)
    record = (root / "format.json").read_text()
    open_catalog(tmp_path)
    versions = open_catalog(tmp_path).versions(NEW)
    (root / "format.json").write_text(record)
    assert open_catalog(tmp_path).versions(NEW) == versions
    formats.ensure_format(root, clock_at(days=1))
    assert len(json.loads((root / "format.json").read_text())["migrations"]) == formats.FORMAT


def test_a_root_without_tables_has_nothing_to_migrate(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    assert set(catalog.versions().values()) == {-1}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path / "home")


def test_prints_of_another_length_are_refused(catalog: Catalog) -> None:
    for name, bad in (("picture_hash", "ab"), ("sound_print", "abc")):
        with pytest.raises(Exception, match=f"CHECK.*{name}"):
            catalog.insert("clips", [clip_row(1, **{name: bad})])
