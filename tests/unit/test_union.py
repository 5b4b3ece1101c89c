"""Several datasets as one run: what each lists and how it is cut stays its own, and what is scored is one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from catalog_rows import clip_row, open_catalog, source_row
from index_files import audioset_csv, class_labels_csv, landscape_csv, made_up_ids, vggsound_csv, write_texts
from pydantic import ValidationError

from flows.report.repeat import command_of
from flows.seed import seeded
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import evaluation_clips, reference_clips, trained_clips
from uniform_core.corpus.fetching import fetch_candidates, fetch_key, index_datasets
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.corpus.inputs import current_clips, list_items
from uniform_core.corpus.leakage import guarded_videos
from uniform_core.corpus.roles import clips_in
from uniform_core.data_words import words_of
from uniform_core.datasets import FolderConfig, LandscapeConfig, UnionConfig, VGGSoundConfig
from uniform_core.datasets.filters import Filters
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fingerprint import derive_clip_id, digest
from uniform_core.media.prints import PICTURE_HEX
from uniform_core.splits import SplitName
from uniform_core.types import SourceItem

SHARED, TRAINED, SCORED, SCENE, BALANCED, EVALUATED, BOTH = made_up_ids(7)
SPEECH = ("/m/09x0r", "Speech")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Lists of three sets that share videos.

    SHARED has a test clip of VGGSound and a training clip of AudioSet, BOTH a training clip of VGGSound and a test clip
    of Landscape, EVALUATED a clip of AudioSet's evaluation and a training clip of Landscape.
    """
    folder = tmp_path / "lists"
    clips = [(TRAINED, 1, "siren", "train"), (SHARED, 30, "siren", "test"), (SCORED, 0, "siren", "test")]
    write_texts(
        folder,
        {
            "vggsound.csv": vggsound_csv([*clips, (BOTH, 5, "siren", "train")]),
            "balanced_train_segments.csv": audioset_csv(
                [(SHARED, 60, 70, [SPEECH[0]]), (BALANCED, 0, 10, [SPEECH[0]])]
            ),
            "eval_segments.csv": audioset_csv([(EVALUATED, 0, 10, [SPEECH[0]])]),
            "class_labels_indices.csv": class_labels_csv([SPEECH]),
            "landscape.csv": landscape_csv(
                [(SCENE, 0, "thunder", "train"), (EVALUATED, 40, "thunder", "train"), (BOTH, 50, "thunder", "test")]
            ),
        },
    )
    return folder


def run_of(lists: Path, *overrides: str, data: str = "vggsound+audioset:balanced+landscape") -> RunConfig:
    kinds = [word.partition(":")[0] for word in words_of(data)]
    where = [f"data.members.{kind}.index={lists}" for kind in kinds] if len(kinds) > 1 else [f"data.index={lists}"]
    return build_run("nano", data=data, overrides=[*where, *overrides])


def test_an_item_has_the_same_keys_alone_as_in_a_union(lists: Path) -> None:
    """So nothing is fetched or decoded twice; only its place in the run is another."""
    union = [one for one in list_items(run_of(lists)) if one.dataset_index < 3]
    alone = [
        one
        for word in ("vggsound", "audioset:balanced", "landscape")
        for one in list_items(run_of(lists, data=word))
        if one.dataset_index == 0
    ]
    assert [(one.key, one.item) for one in union] == [(one.key, one.item) for one in alone]
    assert [fetch_key(one.item) for one in union] == [fetch_key(one.item) for one in alone]
    assert [one.dataset_index for one in union] == [0] * 4 + [1] * 2 + [2] * 3
    assert len({one.key for one in union}) == len(union)


def test_each_item_is_worked_on_by_its_own_dataset(lists: Path) -> None:
    config = run_of(lists, "data.members.landscape.clip_s=2.5")
    rows = fetch_candidates(config, list_items(config)).to_pylist()
    indexes = index_datasets(config)
    assert {(row["dataset"], indexes[row["dataset_index"]].name) for row in rows} == {
        (name, name) for name in ("vggsound", "audioset", "landscape")
    }
    cuts = [ingest_fingerprint(config, dataset) for dataset in config.datasets]
    assert cuts[0] == cuts[1] != cuts[2]
    assert cuts[2] == ingest_fingerprint(config, run_of(lists, "data.clip_s=2.5", data="landscape").data)


def test_the_instrument_comes_last_and_a_member_that_is_it_is_listed_once(lists: Path) -> None:
    config = run_of(lists)
    assert [dataset.kind for dataset in config.datasets] == ["vggsound", "audioset", "landscape", "procedural"]
    assert {one.item.split for one in list_items(config) if one.dataset_index == 3} == {"instrument"}
    member = config.instrument.model_dump_json()
    words = [f"data.members.procedural={member}", f"data.members.landscape.index={lists}"]
    both = build_run("nano", data="landscape+procedural", overrides=words)
    assert [dataset.kind for dataset in both.datasets] == ["landscape", "procedural"]
    assert {one.item.split for one in list_items(both) if one.dataset_index == 1} > {"instrument", "train"}


def test_what_the_union_says_stands_in_for_members_that_say_nothing() -> None:
    still, silent = Filters(drop_still=True), Filters(drop_silent=True)
    own = LandscapeConfig(limit=2, clip_s=3.0, stride_s=1.5, filters=still)
    union = UnionConfig(members=(VGGSoundConfig(), own), limit=9, clip_s=5.0, stride_s=5.0, filters=silent)
    vggsound, landscape = union.parts
    assert vggsound == VGGSoundConfig(limit=9, clip_s=5.0, stride_s=5.0, filters=silent)
    assert landscape == own
    assert UnionConfig(members=(VGGSoundConfig(), own)).parts == (VGGSoundConfig(), own)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"members": [{"kind": "landscape"}]}, "at least 2 items"),
        ({"members": [{"kind": "landscape"}, {"kind": "landscape", "split": "test"}]}, "landscape is named 2 times"),
        ({"members": [{"kind": "landscape"}, {"kind": "union", "members": []}]}, "does not match any of the expected"),
        ({"members": [{"kind": "landscape"}, {"kind": "folder", "path": "x"}], "limit": 3}, "folder has none"),
        ({"members": [{"kind": "landscape"}, {"kind": "vggsound", "no_such": 3}]}, "no_such"),
    ],
)
def test_members_are_several_and_apart(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        UnionConfig.model_validate(values)


def test_a_file_of_nobody_is_not_looked_for(tmp_path: Path) -> None:
    union = UnionConfig(members=(LandscapeConfig(), FolderConfig(path=tmp_path)))
    refused = union.fetch(SourceItem(dataset="vggsound", source_id="a", split="train"), tmp_path)
    assert isinstance(refused, Rejection)
    assert refused.error_class == "unknown_source"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("vggsound:train+landscape", ["vggsound:train", "landscape"]),
        ("folder:rock+roll", ["folder:rock+roll"]),
        ("folder:rock+landscape", ["folder:rock", "landscape"]),
        ("folder:a+folder:b+c", ["folder:a", "folder:b+c"]),
        ("vggsound+lanscape", ["vggsound", "lanscape"]),
    ],
)
def test_a_plus_is_between_datasets_and_may_be_in_a_folders_name(data: str, words: list[str]) -> None:
    assert words_of(data) == words


def test_words_that_make_no_union_say_why() -> None:
    for data, said in (
        ("vggsound+lanscape", "Did you mean 'landscape'"),
        ("vggsound:tst+landscape", "a split .train, val, test."),
        ("vggsound+vggsound:test", "vggsound is named 2 times"),
        ("vggsound+", "--data : expected one of"),
        ("union", "as in --data vggsound:train.landscape"),
        ("union:landscape", "as in --data vggsound:train.landscape"),
    ):
        with pytest.raises(ConfigError, match=said):
            build_run("nano", data=data)


@pytest.mark.parametrize(
    ("data", "split", "reference"),
    [
        ("vggsound+landscape", "vggsound:test", "vggsound:train"),
        ("vggsound:train+audioset:strong+landscape", "landscape:test", "landscape:train"),
        ("audioset:train+vggsound:test", "vggsound:test", "train"),
        ("vggsound:train+landscape:train", "vggsound:test", "vggsound:train"),
        ("audioset+procedural", "audioset:eval", "audioset:train"),
        ("landscape", "test", "train"),
        ("procedural", "held_out", "train"),
    ],
)
@pytest.mark.parametrize("preset", ["nano", "paper"])
def test_one_member_is_scored_unless_another_word_is_said(preset: str, data: str, split: str, reference: str) -> None:
    config = build_run(preset, data=data)
    evaluate = config.evaluate
    if preset == "paper" and data == "procedural":
        split = "held_out"
    assert (config.train_split, evaluate.split, evaluate.reference_split) == ("train", split, reference)


def test_a_split_of_one_member_or_of_all_is_asked_for_by_its_name() -> None:
    data = "vggsound+landscape"
    for split, reference in (("landscape:test", "landscape:train"), ("test", "train"), ("vggsound:val", "train")):
        words = [f"evaluate.split={split}", f"evaluate.reference_split={reference}"]
        assert build_run("nano", data=data, overrides=words).evaluate.split == split
    for words, said in (
        (["evaluate.split=aistpp:test"], "must be one of train, val, test, vggsound:train, .*landscape:test"),
        (["evaluate.split=eval"], "must be one of"),
        (["evaluate.split=landscape:val"], "must be one of"),
        (["evaluate.split=landscape:train"], "must not be train_split"),
        (["evaluate.split=vggsound:train", "train_split=landscape:train"], "must not be split"),
        (["evaluate.reference_split=test"], "must not be split"),
    ):
        with pytest.raises(ConfigError, match=said):
            build_run("nano", data=data, overrides=words)
    for data, words in (
        ("audioset:strong", ["evaluate.split=audioset:eval"]),
        ("landscape+audioset:train", ["evaluate.split=audioset:eval"]),
        ("landscape+audioset:eval", ["evaluate.reference_split=audioset:train"]),
        ("landscape:train+audioset:train", ["evaluate.split=audioset:eval"]),
    ):
        with pytest.raises(ConfigError, match=f"'{words[0].partition('=')[2]}' must be one of"):
            build_run("nano", data=data, overrides=words)
    assert build_run("nano", data="landscape+audioset", overrides=["evaluate.split=audioset:eval"])
    name = SplitName.of("a:b:test")
    assert name.has("a:b", "test")
    assert not name.has("b", "test")


class Corpus:
    """The clips of every listed item of a run, in a catalog."""

    def __init__(self, home: Path, config: RunConfig) -> None:
        self.catalog: Catalog = open_catalog(home)
        sources, clips = [], []
        for one in list_items(config):
            item, fp = one.item, ingest_fingerprint(config, config.datasets[one.dataset_index])
            clip_id = derive_clip_id(item.dataset, item.source_id, start_ms=0, end_ms=2000)
            shared = {"dataset": item.dataset, "source_id": item.source_id, "split": item.split, "label": item.label}
            shared |= {"source_sha256": digest(item.source_id) * 2, "stage_fp": fp}
            clips.append(clip_row(0, work_key=digest(["row", clip_id]), clip_id=clip_id, **shared))
            facts = {"clip_ids": [clip_id], "video_id": item.video_id, "attributes": json.dumps(dict(item.attributes))}
            sources.append(source_row(0, work_key=one.key, **shared, **facts))
        self.catalog.insert("clips", clips)
        self.catalog.insert("sources", sources)

    def clips(self, config: RunConfig) -> pa.Table:
        clips = current_clips(self.catalog, config)
        return clips.filter(pa.array([split != "instrument" for split in clips["split"].to_pylist()]))


def names(clips: Any) -> set[str]:
    """Each clip as its dataset and the split that it is listed in, or has left for, with its video."""
    rows = clips.to_pylist() if isinstance(clips, pa.Table) else clips
    videos = dict(zip((SHARED, TRAINED, SCORED, SCENE, BALANCED, EVALUATED, BOTH), NAMES, strict=True))
    return {f"{row['dataset']} {row['split']} {videos[row['video_id']]}" for row in rows}


NAMES = ("shared", "trained", "scored", "scene", "balanced", "evaluated", "both")


def test_what_any_member_holds_out_is_not_learned_from_another(lists: Path, tmp_path: Path) -> None:
    """And what is trained on is the same, whichever member's split is scored today."""
    whole = {"vggsound train trained", "vggsound test shared", "vggsound test scored", "audioset train balanced"}
    whole |= {"landscape train scene", "landscape train evaluated", "landscape test both"}
    config = run_of(lists)
    corpus = Corpus(tmp_path / "home", config)
    clips = corpus.clips(config)
    assert names(clips) == whole | {
        "audioset video_of_vggsound:test shared",
        "vggsound video_of_landscape:test both",
    }
    assert names(evaluation_clips(config, clips)) == {"vggsound test shared", "vggsound test scored"}
    assert names(reference_clips(config, clips)) == {"vggsound train trained"}
    learned = {"vggsound train trained", "audioset train balanced", "landscape train scene"}
    learned |= {"landscape train evaluated"}
    assert names(trained_clips(config, clips)) == learned == names(clips_in(clips, "train"))

    other = run_of(lists, "evaluate.split=landscape:test", "evaluate.reference_split=landscape:train")
    scored = corpus.clips(other)
    assert names(scored) == names(clips)
    assert names(evaluation_clips(other, scored)) == {"landscape test both"}
    assert names(trained_clips(other, scored)) == learned

    mixed = run_of(lists, "evaluate.split=test", "evaluate.reference_split=train")
    assert len(evaluation_clips(mixed, corpus.clips(mixed))) == 3, "asked for by name, all of them are scored together"

    open_to_all = run_of(lists, "leakage=allow")
    assert names(corpus.clips(open_to_all)) == whole | {"audioset train shared", "vggsound train both"}


def test_a_list_to_guard_against_takes_out_what_no_member_holds_out(lists: Path, tmp_path: Path) -> None:
    guard = [{"kind": "audioset", "split": "eval", "index": str(lists)}]
    config = run_of(lists, f"guard_against={json.dumps(guard)}")
    clips = Corpus(tmp_path / "home", config).clips(config)
    assert "landscape video_of_audioset evaluated" in names(clips)
    videos = guarded_videos(config, (one.item for one in list_items(config)))
    assert videos == {
        SHARED: "video_of_vggsound:test",
        SCORED: "video_of_vggsound:test",
        BOTH: "video_of_landscape:test",
        EVALUATED: "video_of_audioset",
    }


def test_copies_and_twins_are_known_across_members(lists: Path, tmp_path: Path) -> None:
    config = run_of(lists)
    corpus = Corpus(tmp_path / "home", config)
    rows = {(row["dataset"], row["video_id"]): row for row in current_clips(corpus.catalog, config).to_pylist()}
    sources = {row["source_id"]: row for row in corpus.catalog.read("sources").to_pylist()}
    copied, twin = rows["landscape", SCENE], rows["audioset", BALANCED]
    scored, held_out = rows["vggsound", SCORED], rows["landscape", BOTH]
    prints = {"picture_hash": ("0f1e2d3c4b5a6978" * PICTURE_HEX)[:PICTURE_HEX], "sound_print": "ffff" * 28}
    catalog = open_catalog(tmp_path / "other")
    for row in rows.values():
        if row["dataset"] not in ("vggsound", "audioset", "landscape"):
            continue
        shared = {name: row[name] for name in ("dataset", "source_id", "split", "label", "stage_fp", "source_sha256")}
        shared["split"] = sources[row["source_id"]]["split"]
        if row is copied:
            shared["source_sha256"] = scored["source_sha256"]
        looks = prints if row in (twin, held_out) else {}
        catalog.insert("clips", [clip_row(0, work_key=row["work_key"], clip_id=row["clip_id"], **shared, **looks)])
        facts = {"clip_ids": [row["clip_id"]], "video_id": row["video_id"]}
        catalog.insert("sources", [source_row(0, work_key=sources[row["source_id"]]["work_key"], **shared, **facts)])
    left = names(current_clips(catalog, config))
    assert {"landscape copy_of_vggsound:test scene", "audioset twin_of_landscape:test balanced"} < left
    assert "landscape test both" in left, "what is held out stays whole"


def test_filters_are_each_members_own(lists: Path, tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "home", run_of(lists))
    config = run_of(lists, "data.members.landscape.filters.min_motion=4.0")
    left = names(corpus.clips(config))
    assert {"landscape filtered_motion scene", "landscape filtered_motion both", "vggsound train trained"} < left
    everywhere = run_of(lists, "data.filters.min_motion=4.0")
    assert {name.split(" ")[1] for name in names(corpus.clips(everywhere))} == {
        "filtered_motion",
        "video_of_vggsound:test",
        "video_of_landscape:test",
    }


def test_the_command_that_repeats_a_run_of_a_union_is_found(lists: Path) -> None:
    for config in (
        build_run("paper"),
        build_run("nano", data="vggsound:train+landscape", overrides=["train.steps=9"]),
        run_of(lists, "data.limit=3"),
    ):
        assert command_of(config), config.data.name


def test_the_seed_of_rendered_clips_reaches_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFORM_PROCEDURAL_SEED", "41")
    words = seeded("nano", [], "landscape+procedural")
    assert words == ["data.members.procedural.seed=41", "instrument.seed=41"]
    config = build_run("nano", data="landscape+procedural", overrides=words)
    assert [dataset.model_dump()["seed"] for dataset in (config.data.parts[1], config.instrument)] == [41, 41]
