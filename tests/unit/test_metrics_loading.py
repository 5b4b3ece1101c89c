"""Loading rules: complete when they are made, and hashed as before where they say nothing new."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from uniform_core.metrics.loading import AudioLoading, Loading, VideoLoading
from uniform_core.presets import PRESETS
from uniform_core.types import Modality

# What rows of `features` are keyed by since the first release. None of them may change.
KEPT = {
    "tiny": "a6a00ad1d08cbbd3804dbf843e86c38a",
    "nano": "a6a00ad1d08cbbd3804dbf843e86c38a",
    "paper": "1521fc876a8c4f87a062ee5106db30f1",
}
KEPT_VIDEO_DUMP = {"rate_hz": 16, "height_px": 32, "width_px": 32, "resize": "crop", "window_frames": 32}


@pytest.mark.parametrize("preset", KEPT)
def test_rules_of_a_spec_keep_their_hashes(preset: str) -> None:
    assert PRESETS[preset]().terms.loading.part_hash == KEPT[preset]


def test_a_dump_says_nothing_of_fields_at_their_defaults() -> None:
    video = VideoLoading(rate_hz=16, height_px=32, width_px=32, resize="crop", window_frames=32)
    assert video.model_dump() == KEPT_VIDEO_DUMP
    assert set(Loading().model_dump()) == {"video", "audio", "window_s"}
    assert set(AudioLoading().model_dump()) == {"rate_hz", "channels", "resampler", "remove_dc", "loudness"}


@pytest.mark.parametrize(
    ("change", "of"),
    [
        ({"reader": "streamed"}, Loading),
        ({"start_s": 1.0}, Loading),
        ({"starts": "picture"}, AudioLoading),
        ({"dc_over": "part"}, AudioLoading),
        ({"least_samples": 32_000}, AudioLoading),
        ({"interpolation": "linear"}, VideoLoading),
        ({"window_seed": 1}, VideoLoading),
        ({"resize": "short_side", "short_side_px": 256}, VideoLoading),
        ({"rate_hz": 10, "rate_rule": "floor_index"}, VideoLoading),
        ({"window": "random", "window_frames": 16}, VideoLoading),
    ],
)
def test_whatever_is_said_changes_the_hash(change: dict, of: type) -> None:
    def hash_of(part: object) -> str:
        if isinstance(part, Loading):
            return part.part_hash
        return Loading(**{"audio" if isinstance(part, AudioLoading) else "video": part}).part_hash

    plain = {key: value for key, value in change.items() if key in ("rate_hz", "window_frames")}
    assert hash_of(of(**change)) != hash_of(of(**plain))
    assert of.model_validate_json(of(**change).model_dump_json()) == of(**change)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: VideoLoading(resize="squash"),
        lambda: VideoLoading(resize="pad", height_px=64, width_px=32),
        lambda: VideoLoading(resize="short_side"),
        lambda: VideoLoading(short_side_px=64),
        lambda: VideoLoading(rate_rule="floor_index"),
        lambda: VideoLoading(window="random"),
        lambda: AudioLoading(rate_hz=16_000),
        lambda: AudioLoading(resampler="soxr_hq"),
    ],
)
def test_half_a_rule_is_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        wrong()


def test_what_is_seen_does_not_depend_on_what_is_heard() -> None:
    pictures = VideoLoading(rate_hz=10, rate_rule="floor_index")
    one, other = (
        Loading(video=pictures, audio=AudioLoading(rate_hz=rate, resampler="soxr_hq"), reader="streamed")
        for rate in (16_000, 22_050)
    )
    assert one.part_hash != other.part_hash
    assert one.only(Modality.VIDEO).part_hash == other.only(Modality.VIDEO).part_hash
    assert one.only(Modality.AUDIO).part_hash != other.only(Modality.AUDIO).part_hash
    assert one.only(Modality.AUDIO).video is None
