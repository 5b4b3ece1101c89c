"""What shares a video or its content with an evaluated clip is not trained on, and what a filter takes has left too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from catalog_rows import START, clip_row, open_catalog, source_row, stamp

from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_candidates, encode_candidates
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.corpus.inputs import ListedItem, current_clips, list_items
from uniform_core.corpus.leakage import COMMON, guarded_videos, pairs_with_a_common_word, twins
from uniform_core.corpus.left_out import counts_in_words
from uniform_core.corpus.plan import plan_stages
from uniform_core.datasets import DatasetConfig
from uniform_core.datasets.filters import Filters
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fingerprint import derive_clip_id, digest
from uniform_core.media.prints import PICTURE_HEX
from uniform_core.metrics.layers import SCREENERS
from uniform_core.metrics.screening import TinySyncScreener
from uniform_core.spec import AVSpec
from uniform_core.types import SourceItem

FRAMES = 28


def prints_of(seed: int, *, noise: float = 0.0) -> dict[str, str]:
    """A picture's hash and a sound's print, a share of whose signs is turned over."""
    content, chance = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    picture_B = content.random(PICTURE_HEX * 4) < 0.5
    sound_TB = content.random((FRAMES, 16)) < 0.5
    picture_B ^= chance.random(picture_B.shape) < noise
    sound_TB ^= chance.random(sound_TB.shape) < noise
    sound_TB[:, 0] = True
    return {
        "picture_hash": np.packbits(picture_B).tobytes().hex(),
        "sound_print": np.packbits(sound_TB, axis=1).tobytes().hex(),
    }


class Run:
    """A folder's clips in a catalog, each with the split, video and content that a test gives it."""

    def __init__(self, tmp_path: Path, *overrides: str) -> None:
        self.folder = tmp_path / "videos"
        self.folder.mkdir(exist_ok=True)
        self.catalog = open_catalog(tmp_path / "home")
        self.overrides, self.given = overrides, dict[str, dict[str, Any]]()

    def add(self, name: str, split: str, *, video_id: str | None = None, **columns: Any) -> None:
        (self.folder / f"{name}.mp4").write_bytes(name.encode())
        self.given[f"{name}.mp4"] = {"split": split, "video_id": video_id, **columns}

    def config(self, **changes: Any) -> RunConfig:
        config = build_run("nano", data=f"folder:{self.folder}", overrides=self.overrides)
        return config.model_copy(update=changes)

    def items(self, config: RunConfig) -> list[ListedItem]:
        own = [one for one in list_items(config) if one.dataset_index == 0]
        facts = {name: {key: given[key] for key in ("split", "video_id")} for name, given in self.given.items()}
        return [replace(one, item=replace(one.item, **facts[one.item.source_id])) for one in own]

    def commit(self) -> None:
        config = self.config()
        for one in self.items(config):
            item, fp = one.item, ingest_fingerprint(config, config.data)
            columns = {k: v for k, v in self.given[item.source_id].items() if k not in ("split", "video_id")}
            clip_id = derive_clip_id(item.dataset, item.source_id, start_ms=0, end_ms=2000)
            shared: dict[str, Any] = {"dataset": item.dataset, "source_id": item.source_id, "split": item.split}
            shared |= {"source_sha256": columns.pop("sha", digest(item.source_id) * 2), "stage_fp": fp}
            row = clip_row(0, work_key=digest(["row", clip_id]), clip_id=clip_id, **shared, **columns)
            self.catalog.insert("clips", [row])
            facts = {"clip_ids": [clip_id], "video_id": item.video_id}
            self.catalog.insert("sources", [source_row(0, work_key=one.key, **facts, **shared)])

    def splits(self, **changes: Any) -> dict[str, str]:
        config = self.config(**changes)
        clips = current_clips(self.catalog, config, listed=self.items(config)).to_pylist()
        return {clip["source_id"].removesuffix(".mp4"): clip["split"] for clip in clips}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


class Listed(DatasetConfig):
    """A list of videos, for guarding."""

    kind: Literal["listed"] = "listed"
    videos: tuple[str | None, ...] = ()

    @property
    def name(self) -> str:
        return "listed"

    def items(self, spec: AVSpec) -> Iterator[SourceItem]:
        for place, video_id in enumerate(self.videos):
            yield SourceItem(dataset=self.name, source_id=str(place), split="test", video_id=video_id)

    def fetch(self, item: SourceItem, directory: Path) -> Path | Rejection:
        raise AssertionError("only its list is read")


def test_other_clips_of_an_evaluated_video_are_not_trained_on(run: Run) -> None:
    run.add("scored", "held_out", video_id="one")
    run.add("same", "train", video_id="one")
    run.add("other", "train", video_id="two")
    run.add("own", "train")
    run.add("listening", "instrument", video_id="one")
    run.commit()
    as_listed = {"scored": "held_out", "other": "train", "own": "train", "listening": "instrument"}
    assert run.splits() == {**as_listed, "same": "video_of_held_out"}
    assert run.splits(leakage="allow") == {**as_listed, "same": "train"}


def test_a_clip_that_looks_and_sounds_like_an_evaluated_one_is_not_trained_on(run: Run) -> None:
    run.add("scored", "held_out", **prints_of(1))
    run.add("again", "train", **prints_of(1, noise=0.04))
    run.add("looks", "train", **{**prints_of(2), "picture_hash": prints_of(1)["picture_hash"]})
    run.add("sounds", "train", **{**prints_of(3), "sound_print": prints_of(1)["sound_print"]})
    run.add("without", "train", picture_hash=prints_of(1)["picture_hash"])
    run.add("listening", "instrument", **prints_of(1))
    run.commit()
    as_listed = {"scored": "held_out", "looks": "train", "sounds": "train", "without": "train"}
    as_listed["listening"] = "instrument"
    assert run.splits() == {**as_listed, "again": "twin_of_held_out"}
    assert run.splits(leakage="allow") == {**as_listed, "again": "train"}


def test_a_copy_to_the_byte_is_told_first_and_is_allowed_where_all_is(run: Run) -> None:
    run.add("scored", "held_out", video_id="one", sha="a" * 64, **prints_of(1))
    run.add("same", "train", video_id="one", sha="a" * 64, **prints_of(1))
    run.commit()
    assert run.splits()["same"] == "copy_of_held_out"
    assert run.splits(leakage="allow")["same"] == "train"


def test_videos_of_a_list_that_is_not_in_the_run_are_guarded_against(run: Run) -> None:
    run.add("scored", "held_out", video_id="one")
    run.add("both", "train", video_id="one")
    run.add("theirs", "train", video_id="far")
    run.add("ours", "train", video_id="near")
    run.commit()
    guarded = {"guard_against": (Listed(videos=("far", "one", None)),)}
    assert run.splits(**guarded) == {
        "scored": "held_out",
        "both": "video_of_held_out",
        "theirs": "video_of_listed",
        "ours": "train",
    }
    assert run.splits(**guarded, leakage="allow")["theirs"] == "train"
    items = [one.item for one in run.items(run.config())]
    for empty in ((), (None, None)):
        with pytest.raises(ConfigError, match=r"guard_against, listed.*lists videos by their ids"):
            guarded_videos(run.config(guard_against=(Listed(videos=empty),)), items)
    assert guarded_videos(run.config(guard_against=(Listed(),)), []) == {}, "where there is no video, nothing is read"


def test_the_guard_is_no_part_of_a_dump_at_its_default() -> None:
    config = build_run("nano")
    assert not {"leakage", "guard_against"} & config.model_dump().keys()
    assert "filters" not in config.model_dump()["data"]
    allowed = config.model_copy(update={"leakage": "allow"})
    assert RunConfig.model_validate_json(allowed.model_dump_json()).leakage == "allow"
    assert build_run("nano", overrides=["data.filters.drop_silent=true"]).data.filters.drop_silent


def test_twins_are_found_however_many_clips_there_are() -> None:
    """By words that they have in common: of copies with a fifteenth of their signs changed none is missed."""
    evaluated = [{"clip_id": f"e{n}", **prints_of(n)} for n in range(400)]
    copies = [{"clip_id": f"c{n}", **prints_of(n, noise=0.065)} for n in range(400)]
    others = [{"clip_id": f"o{n}", **prints_of(n)} for n in range(1000, 1400)]
    none = [{"clip_id": "n", "picture_hash": None, "sound_print": None}]
    longer = [{"clip_id": "l", **prints_of(0), "sound_print": prints_of(0)["sound_print"] + "8000"}]
    found = twins([*copies, *others, *none, *longer], evaluated)
    assert found == {clip["clip_id"] for clip in copies}
    assert twins([], evaluated) == twins(copies, []) == set()


def test_a_word_that_everybody_has_pairs_nobody() -> None:
    words_NW = np.zeros((3, 2), np.uint16)
    words_NW[:, 1] = [5, 6, 7]
    others_MW = np.zeros((COMMON + 1, 2), np.uint16)
    others_MW[:, 1] = np.arange(COMMON + 1)
    [nobody, own] = pairs_with_a_common_word(words_NW, others_MW)
    assert [part.tolist() for part in nobody] == [[], []]
    assert [part.tolist() for part in own] == [[0, 1, 2], [5, 6, 7]]
    pairs = list(pairs_with_a_common_word(words_NW, others_MW[:COMMON]))
    assert sum(len(mine) for mine, _ in pairs) == 3 * COMMON + 3


def screen_row(clip_id: str, clip_sha256: str, day: int = 0, **columns: Any) -> dict[str, Any]:
    values = {
        "work_key": digest(["screen", clip_id, day]),
        "clip_id": clip_id,
        "clip_sha256": clip_sha256,
        "dataset": "d",
        "screener": "tinysync",
        "av_offset_s": 0.0,
        "on_screen": 0.5,
        "n": 9,
        "created_at": START + timedelta(days=day),
    }
    return stamp(**{**values, **columns})


def test_a_filtered_clip_leaves_the_run_under_its_reason_and_stays_in_the_catalog(run: Run) -> None:
    run.add("good", "train", motion=5.0)
    run.add("quiet", "train", is_silent=True, is_still=True)
    run.add("still", "held_out", is_still=True)
    run.add("slow", "train", motion=0.5)
    run.add("listening", "instrument", is_silent=True)
    run.commit()
    as_listed = {"good": "train", "quiet": "train", "still": "held_out", "slow": "train", "listening": "instrument"}
    assert run.splits() == as_listed
    run.overrides = ("data.filters.drop_silent=true", "data.filters.drop_still=true", "data.filters.min_motion=1.0")
    assert run.splits() == {
        **as_listed,
        "quiet": "filtered_silent",
        "still": "filtered_still",
        "slow": "filtered_motion",
    }
    assert run.catalog.read("clips").num_rows == 5
    config = run.config()
    clips = current_clips(run.catalog, config, listed=run.items(config))
    names = {row["item"].split(" ")[0].rsplit("/")[-1] for row in encode_candidates(config, clips).to_pylist()}
    assert names == {"good.mp4"}
    assert captions_candidates(config.captioners[-1], clips).num_rows == 1


def test_filters_by_screens(run: Run) -> None:
    for name in ("good", "late", "off", "unseen", "changed"):
        run.add(name, "train")
    run.commit()
    clips = {row["source_id"][:-4]: row for row in run.catalog.read("clips").to_pylist()}
    rows = {
        "good": {"on_screen": 0.4, "av_offset_s": -0.1},
        "late": {"on_screen": 0.4, "av_offset_s": -0.5},
        "off": {"on_screen": 0.1},
        "changed": {"clip_sha256": "f" * 64},
    }
    sha = {name: clip["clip_sha256"] for name, clip in clips.items()}
    for name, columns in rows.items():
        run.catalog.insert("screens", [screen_row(clips[name]["clip_id"], **{"clip_sha256": sha[name], **columns})])
    old = screen_row(clips["good"]["clip_id"], sha["good"], day=-1, on_screen=0.0)
    other = screen_row(clips["off"]["clip_id"], sha["off"], day=1, screener="another")
    run.catalog.insert("screens", [old, other])
    run.overrides = ("data.filters.min_on_screen=0.2", "data.filters.max_offset_s=0.2")
    assert run.splits() == {
        "good": "train",
        "late": "filtered_offset",
        "off": "filtered_off_screen",
        "unseen": "filtered_unscreened",
        "changed": "filtered_unscreened",
    }


def test_what_has_leaked_is_counted_as_that_and_not_as_filtered(run: Run) -> None:
    run.add("scored", "held_out", video_id="one")
    run.add("same", "train", video_id="one", is_silent=True)
    run.commit()
    run.overrides = ("data.filters.drop_silent=true",)
    assert run.splits() == {"scored": "held_out", "same": "video_of_held_out"}


def test_everything_left_out_is_counted_in_words() -> None:
    reasons = ["twin_of_held_out", "video_of_vggsound", "filtered_off_screen", "filtered_off_screen", "copy_of_test"]
    assert counts_in_words(["train", *reasons]) == [
        "1 clips left out: their files are also test",
        "2 clips left out: filtered (off screen)",
        "1 clips left out: they look and sound like clips that are held out",
        "1 clips left out: their videos are also vggsound",
    ]


def test_the_plan_says_how_many_clips_are_left_out(tmp_path: Path) -> None:
    config = build_run("nano", overrides=["data.filters.drop_silent=true"])
    catalog: Catalog = open_catalog(tmp_path / "home")
    [listed, *_] = [one for one in list_items(config) if one.item.split == "train"]
    shared = {"dataset": listed.item.dataset, "source_id": listed.item.source_id}
    shared["stage_fp"] = ingest_fingerprint(config, config.data)
    catalog.insert("clips", [clip_row(0, **shared, is_silent=True)])
    catalog.insert("sources", [source_row(0, work_key=listed.key, **shared)])
    [train] = [plan for plan in plan_stages(catalog, config, workers=1) if plan.stage == "train"]
    assert "1 clips left out: filtered (silent)" in train.note


def test_a_screener_that_nobody_knows_is_told_before_any_work() -> None:
    """By a misspelt name no clip has been looked at, and all of them would be left out."""
    for data, place in ((None, "data"), ("landscape+vggsound", "data.members.landscape")):
        words = [f"{place}.filters.screener=tinysink", f"{place}.filters.min_on_screen=0.2"]
        with pytest.raises(
            ConfigError, match=r"screener 'tinysink' must be one of tinysync\. Did you mean 'tinysync'\?"
        ):
            build_run("nano", data=data, overrides=words)
    assert TinySyncScreener.__dataclass_fields__["name"].default in SCREENERS


def test_no_filter_is_the_default() -> None:
    assert Filters().is_empty
    assert Filters(screener="another").is_empty
    assert not Filters(drop_still=True).is_empty
    assert not Filters(drop_still=True).reads_screens
    assert Filters(max_offset_s=0.1).reads_screens
