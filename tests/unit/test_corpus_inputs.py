"""The clips of a run: what their sources are listed as now, whatever they were when they were decoded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from catalog_rows import caption_row, clip_row, clock_at, open_catalog, source_row, text_row

from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_candidates
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.fingerprints import captions_fingerprint, ingest_fingerprint
from uniform_core.corpus.inputs import ListedItem, current_clips, ingest_candidates, list_items
from uniform_core.fingerprint import derive_clip_id, text_digest, work_key

START_MS, END_MS = 500, 1500


def own_items(config: RunConfig) -> list[ListedItem]:
    return [listed for listed in list_items(config) if listed.dataset_index == 0]


def commit_as_ingest(catalog: Catalog, config: RunConfig) -> tuple[int, int]:
    """How many sources were outstanding and how many clips were new: rows with the keys that ingest gives them."""
    items = own_items(config)
    keys = catalog.outstanding("sources", ingest_candidates(config, listed=items), stage="ingest")["work_key"]
    todo = [listed for listed in items if listed.key in set(keys.to_pylist())]
    return len(todo), sum(commit_item(catalog, config, listed) for listed in todo)


def commit_item(catalog: Catalog, config: RunConfig, listed: ListedItem) -> int:
    """How many clips were new: the rows of an item, whose content is told by the length of its name."""
    item, fp = listed.item, ingest_fingerprint(config, config.data)
    clip_id = derive_clip_id(item.dataset, item.source_id, start_ms=START_MS, end_ms=END_MS)
    sha = f"{len(item.source_id):064x}"
    shared: dict[str, Any] = {"dataset": item.dataset, "source_id": item.source_id, "source_sha256": sha}
    shared |= {"split": item.split, "label": item.label, "stage_fp": fp}
    key = work_key(clip_id, stage_fp=fp, source_sha256=sha)
    where = {"start_ms": START_MS, "end_ms": END_MS, "clip_id": clip_id, "event_times_s": None}
    inserted = catalog.insert("clips", [clip_row(0, work_key=key, **where, **shared)])
    facts = {"caption": item.caption, "clip_ids": [clip_id], "event_times_s": item.event_times_s}
    catalog.insert("sources", [source_row(0, work_key=listed.key, **facts, **shared)])
    return inserted


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a", "bb", "ccc"):
        (folder / f"{name}.mp4").write_bytes(name.encode())
    return folder


def run_over(folder: Path, *overrides: str) -> RunConfig:
    return build_run("nano", data=f"folder:{folder}", overrides=overrides)


def facts_of(clips: pa.Table, *names: str) -> dict[str, tuple[Any, ...]]:
    assert len(set(clips["clip_id"].to_pylist())) == clips.num_rows
    return {row["source_id"]: tuple(row[name] for name in names) for row in clips.to_pylist()}


def test_a_clip_leaves_training_when_its_source_is_held_out(videos: Path, tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "home")
    for fraction, split, counts in ((0.0, "train", (3, 3)), (1.0, "held_out", (3, 0)), (0.0, "train", (0, 0))):
        config = run_over(videos, f"data.held_out_fraction={fraction}")
        assert commit_as_ingest(catalog, config) == counts
        clips = current_clips(catalog, config, listed=own_items(config))
        assert facts_of(clips, "split") == {f"{name}.mp4": (split,) for name in ("a", "bb", "ccc")}
        assert commit_as_ingest(catalog, config) == (0, 0)


@pytest.mark.parametrize(("frames", "events_s"), [(16, [0.0, 0.75]), (8, [0.0])])  # the whole window, half of it
def test_caption_label_attributes_and_events_are_those_that_the_source_is_listed_with(
    tmp_path: Path, frames: int, events_s: list[float]
) -> None:
    config = build_run("nano")
    [first, *_] = own_items(config)
    catalog, fp = open_catalog(tmp_path / "home"), ingest_fingerprint(config, config.data)
    shared = {"dataset": first.item.dataset, "source_id": first.item.source_id, "stage_fp": fp}
    where = {"start_ms": START_MS, "end_ms": END_MS, "frames": frames}
    catalog.insert("clips", [clip_row(0, **shared, **where, label="old", event_times_s=[0.9])])
    now = {"label": "new", "caption": "words", "attributes": '{"colour":"red"}', "event_times_s": [0.4, 0.5, 1.25, 1.5]}
    catalog.insert("sources", [source_row(0, work_key=first.key, **shared, **now)])
    [clip] = current_clips(catalog, config).to_pylist()
    assert (clip["label"], clip["source_caption"], clip["attributes"]) == ("new", "words", '{"colour":"red"}')
    assert clip["event_times_s"] == pytest.approx(events_s)
    assert list(clip)[:-1] == list(catalog.read("clips").column_names)


def test_a_source_that_two_datasets_list_has_its_clip_once(tmp_path: Path) -> None:
    config = build_run("nano", overrides=["data.train_short=3"])  # the instrument data is the same but for a count
    assert len(config.datasets) == 2
    catalog = open_catalog(tmp_path / "home")
    [listed, again] = [one for one in list_items(config) if one.item.source_id == "instrument/siren/short-00000"]
    shared = {"dataset": listed.item.dataset, "source_id": listed.item.source_id}
    shared["stage_fp"] = ingest_fingerprint(config, config.data)
    catalog.insert("clips", [clip_row(0, **shared)])
    catalog.insert("sources", [source_row(0, work_key=key, **shared) for key in {listed.key, again.key}])
    assert current_clips(catalog, config).num_rows == 1


def test_a_caption_goes_back_with_the_words_that_it_was_made_from(videos: Path, tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "home")
    for day, (words, is_new) in enumerate([("one", True), ("two", True), ("one", False)]):
        beside = videos / "a.txt"
        beside.write_text(words)
        os.utime(beside, (0, 0))
        config = run_over(videos)
        commit_as_ingest(catalog, config)
        clips = current_clips(catalog, config, listed=own_items(config))
        sidecar = next(captioner for captioner in config.captioners if captioner.kind == "sidecar")
        keys = {row["clip_id"]: row["work_key"] for row in captions_candidates(sidecar, clips).to_pylist()}
        [clip] = [row for row in clips.to_pylist() if row["source_id"] == "a.mp4"]
        catalog.insert(
            "caption_texts", [text_row(0, work_key=text_digest(words), text_hash=text_digest(words), text=words)]
        )
        row = caption_row(clip, text_digest(words), work_key=keys[clip["clip_id"]], created_at=clock_at(days=day)())
        inserted = catalog.insert("captions", [row | {"stage_fp": captions_fingerprint(sidecar)}])
        assert bool(inserted) == is_new
        assert active_captions(catalog, config, clips)["text"].to_pylist() == [words]


def test_new_pixels_keep_the_caption_of_a_captioner_that_looks_at_words_alone(videos: Path, tmp_path: Path) -> None:
    catalog, config = open_catalog(tmp_path / "home"), run_over(videos)
    commit_as_ingest(catalog, config)
    clips = current_clips(catalog, config, listed=own_items(config))
    captioner = config.captioners[-1]
    [key] = captions_candidates(captioner, clips.slice(0, 1))["work_key"].to_pylist()
    row = caption_row(clips.to_pylist()[0], text_row(1)["text_hash"], work_key=key, clip_sha256="0" * 64)
    catalog.insert("caption_texts", [text_row(1)])
    catalog.insert("captions", [row | {"stage_fp": captions_fingerprint(captioner)}])
    assert active_captions(catalog, config, clips)["text"].to_pylist() == ["text number 1"]


def test_a_copy_of_a_held_out_file_is_not_trained_on(tmp_path: Path) -> None:
    """Names of one length have one content here; each keeps its split, but for copies of what is evaluated."""
    folder = tmp_path / "videos"
    folder.mkdir()
    names = {"train": ["train.mp4", "only_train.mp4"], "held_out": ["other.mp4"], "instrument": ["instr.mp4"]}
    for name in [name for group in names.values() for name in group]:
        (folder / name).write_bytes(b"x")
    config = run_over(folder)
    items = [
        replace(one, item=replace(one.item, split=_group_of(one.item.source_id, names))) for one in own_items(config)
    ]
    catalog = open_catalog(tmp_path / "home")
    for one in items:
        commit_item(catalog, config, one)
    clips = current_clips(catalog, config, listed=items)
    for columns in (["split", "clip_id"], ["label", "source_caption"]):
        assert current_clips(catalog, config, listed=items, columns=columns).equals(clips.select(columns))
    splits = facts_of(clips, "split")
    assert splits == {
        "train.mp4": ("copy_of_held_out",),
        "only_train.mp4": ("train",),
        "other.mp4": ("held_out",),
        "instr.mp4": ("instrument",),
    }


def _group_of(name: str, groups: dict[str, list[str]]) -> str:
    return next(split for split, names in groups.items() if name in names)
