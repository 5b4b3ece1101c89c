"""The rendered dataset: its files, its splits, and what must not be guessable from it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import ValidationError

from uniform_core.datasets import ProceduralConfig
from uniform_core.datasets.procedural import SPLITS, Combination, split_periods_s
from uniform_core.datasets.scenes import SCENES
from uniform_core.errors import ConfigError, Rejection, StorageError
from uniform_core.fingerprint import file_sha256
from uniform_core.spec import AVSpec
from uniform_core.types import SourceItem

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
SMALL = ProceduralConfig.example()


def attributes_by_split(config: ProceduralConfig, label: str) -> dict[str, list[dict[str, str]]]:
    items = [item for item in config.items(SPEC) if item.label == label]
    return {split: [dict(item.attributes) for item in items if item.split == split] for split in SPLITS}


def test_there_are_six_classes_and_the_counts_asked_for():
    config = ProceduralConfig(train_short=3, train_long=2, held_out_short=2, instrument_short=1)
    items = list(config.items(SPEC))
    assert len(SCENES) >= 6
    assert len(items) == 8 * len(SCENES)
    assert [item.label for item in items[:6]] == list(SCENES)
    assert sum(len(item.windows or ()) for item in items) == 2 * 12 * len(SCENES)


def test_captions_are_short_and_say_every_dealt_attribute():
    for item in ProceduralConfig(train_short=20, train_long=0, held_out_short=0, instrument_short=0).items(SPEC):
        assert item.caption is not None
        words = item.caption.split()
        assert len(words) <= 9
        for name in SCENES[item.label or ""].choices:
            assert item.attributes[name] in words


def test_attributes_are_dealt_evenly():
    config = ProceduralConfig(labels=("pendulum",), train_short=40, train_long=0, held_out_short=0, instrument_short=0)
    dealt = [tuple(item.attributes.values()) for item in config.items(SPEC)]
    assert {dealt.count(attributes) for attributes in dealt} == {2}


def test_one_combination_is_never_trained_and_leads_the_held_out_split():
    config = ProceduralConfig(labels=("bouncing_ball",), train_short=40, held_out_short=20, instrument_short=20)
    hidden = {"colour": "blue", "size": "large", "pitch": "low"}
    dealt = attributes_by_split(config, "bouncing_ball")
    assert hidden not in dealt["train"]
    assert dealt["held_out"].count(hidden) == 2
    assert dealt["held_out"][0] == hidden
    assert hidden in dealt["instrument"]


def test_the_combination_can_be_another_or_none():
    sizes = ProceduralConfig(
        labels=("siren",), train_short=20, never_trained=Combination(label="siren", attributes={"pitch": "low"})
    )
    assert {attributes["pitch"] for attributes in attributes_by_split(sizes, "siren")["train"]} == {"high"}
    free = ProceduralConfig(labels=("bouncing_ball",), train_short=10, never_trained=None)
    assert {"colour": "blue", "size": "large", "pitch": "low"} in attributes_by_split(free, "bouncing_ball")["train"]


@pytest.mark.parametrize("label", list(SCENES))
def test_no_two_splits_share_a_period(label: str):
    periods = [set(split_periods_s(SCENES[label], split)) for split in SPLITS]
    assert len(set.union(*periods)) == sum(map(len, periods))
    ranges = [(min(p), max(p)) for p in periods]
    assert np.ptp([low for low, _ in ranges]) < 0.03 * ranges[0][0]


def test_no_two_files_have_the_same_events():
    items = list(ProceduralConfig().items(SPEC))
    assert len({item.event_times_s for item in items}) == len(items)


def test_the_class_does_not_tell_when_things_happen():
    """Over many clips of a class, events fall anywhere: no time of the clip is preferred."""
    config = ProceduralConfig(train_short=100, train_long=0, held_out_short=0, instrument_short=0)
    by_class: dict[str, list[float]] = {label: [] for label in SCENES}
    for item in config.items(SPEC):
        by_class[item.label or ""].extend(t for t in item.event_times_s or () if t < 2.0)
    for label, times in by_class.items():
        counts, _ = np.histogram(times, bins=8, range=(0.0, 2.0))
        assert counts.min() > 0.6 * counts.mean(), label
        assert counts.max() < 1.5 * counts.mean(), label


def test_a_larger_set_holds_the_smaller_one():
    small = {item.source_id: item for item in SMALL.items(SPEC)}
    more = SMALL.model_copy(update={"train_short": 5, "held_out_short": 3, "labels": (*SMALL.labels, "rain")})
    large = {item.source_id: item for item in more.items(SPEC)}
    assert small.items() <= large.items()
    assert more.name == SMALL.name


def test_more_windows_leave_the_others_where_they_are():
    more = SMALL.model_copy(update={"windows_per_long": 6})
    for few, many in zip(SMALL.items(SPEC), more.items(SPEC), strict=True):
        assert set(few.windows or ()) <= set(many.windows or ())
        assert all(window.end_s <= SMALL.long_s for window in many.windows or ())


def test_windows_of_long_files_are_random_by_file_and_seed_alone():
    """No grid, no two files or seeds alike, the whole file in use, and the same again."""
    config = ProceduralConfig(labels=("bouncing_ball", "siren"), train_short=0, train_long=20, windows_per_long=12)

    def starts(config: ProceduralConfig) -> dict[str, tuple[float, ...]]:
        long = (item for item in config.items(SPEC) if item.windows is not None)
        return {item.source_id: tuple(window.start_s for window in item.windows or ()) for item in long}

    found, other = starts(config), starts(config.model_copy(update={"seed": 1}))
    assert starts(config) == found
    assert len(found) == 40
    assert len({*found.values(), *other.values()}) == 80
    steps = np.concatenate([np.diff(file) for file in found.values()])
    assert len(set(steps.round(3))) > 0.6 * len(steps), "windows lie on a grid"
    every = np.concatenate(list(found.values()))
    assert len(set(every)) > 0.95 * len(every), "files share their windows"
    counts, _ = np.histogram(every, bins=7, range=(0.0, config.long_s - SPEC.duration_s))
    assert counts.min() > 0.6 * counts.mean()
    assert counts.max() < 1.4 * counts.mean()


@pytest.mark.parametrize("change", [{"seed": 1}, {"size_px": 64}, {"short_s": 2.4}, {"never_trained": None}])
def test_what_changes_files_changes_the_name(change: dict[str, object]):
    assert SMALL.model_copy(update=change).name != SMALL.name


def test_files_are_the_same_again_and_others_for_another_seed(tmp_path: Path):
    item = next(SMALL.items(SPEC))
    first, again = (SMALL.fetch(item, tmp_path / place) for place in ("a", "b"))
    assert isinstance(first, Path)
    assert isinstance(again, Path)
    assert file_sha256(first) == file_sha256(again)
    assert first.relative_to(tmp_path / "a") == again.relative_to(tmp_path / "b")
    other = SMALL.model_copy(update={"seed": 1})
    changed = other.fetch(next(other.items(SPEC)), tmp_path / "a")
    assert isinstance(changed, Path)
    assert changed != first
    assert file_sha256(changed) != file_sha256(first)


def test_a_file_is_ordinary_h264_and_aac(tmp_path: Path):
    path = SMALL.fetch(next(SMALL.items(SPEC)), tmp_path)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.average_rate, audio.rate, audio.channels) == (25, 16_000, 1)
        assert (video.width, video.height, video.frames) == (SMALL.size_px, SMALL.size_px, 55)
        assert video.codec_context.pix_fmt == "yuv420p"


def test_sound_of_the_file_begins_at_the_event(tmp_path: Path):
    """Onsets through AAC lie where the metadata says, by the pts of the decoded frames."""
    item = next(SMALL.items(SPEC))
    path = SMALL.fetch(item, tmp_path)
    track = np.zeros(3 * 16_000)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            start = round(float(frame.pts * frame.time_base) * 16_000)
            piece = frame.to_ndarray()[0]
            track[max(start, 0) : start + len(piece)] = piece[max(-start, 0) :]
    for time_s in (t for t in item.event_times_s or () if t > 0.1):
        sample = round(time_s * 16_000)
        before, after = track[sample - 480 : sample - 80], track[sample + 16 : sample + 416]
        assert np.abs(after).max() > 3 * np.abs(before).max()


def test_a_torn_attempt_is_made_again(tmp_path: Path):
    item = next(SMALL.items(SPEC))
    whole = SMALL.fetch(item, tmp_path)
    assert isinstance(whole, Path)
    content = whole.read_bytes()
    whole.rename(whole.with_name(f".{whole.name}.1.part"))
    assert SMALL.fetch(item, tmp_path) == whole
    assert whole.read_bytes() == content


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        SMALL.fetch(next(SMALL.items(SPEC)), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("source_id", ["train/bouncing_ball/short-1", "../x/short-00001", "train/lion/short-00000"])
def test_a_foreign_item_is_refused_and_writes_nothing(source_id: str, tmp_path: Path):
    refused = SMALL.fetch(SourceItem(SMALL.name, source_id, "train"), tmp_path)
    assert isinstance(refused, Rejection)
    assert refused.error_class == "unknown_source"
    assert not list(tmp_path.iterdir())


def test_a_spec_longer_than_the_files_is_a_wrong_call():
    paper = SPEC.model_copy(update={"duration_s": 4.0})
    with pytest.raises(ConfigError, match=r"procedural.short_s: expected at least the 4.0 s"):
        list(SMALL.items(paper))
    assert list(SMALL.model_copy(update={"short_s": 4.2}).items(paper))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"labels": ("lion",)}, "lion"),
        ({"labels": ("rain", "rain")}, "different"),
        ({"labels": ()}, "different"),
        ({"size_px": 95}, "even"),
        ({"seed": -1}, "seed"),
        ({"train_short": 1.5}, "train_short"),
        ({"never_trained": {"label": "lion", "attributes": {"size": "small"}}}, "lion"),
        ({"never_trained": {"label": "siren", "attributes": {"size": "small"}}}, "siren"),
        ({"never_trained": {"label": "siren", "attributes": {}}}, "at least one"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, object], said: str):
    with pytest.raises(ValidationError, match=said):
        ProceduralConfig.model_validate(values)
