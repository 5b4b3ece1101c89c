"""From the numbers of a clip to the shapes of its latents: the paper's, others that tile, and errors for the rest."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from uniform_core.spec import AVSpec, LatentLayout

PAPER = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)


def opensora_latent(spec: AVSpec) -> tuple[int, int, int, int]:
    """Chunks of 17 frames are 5 latent frames; of a last, shorter one each four frames begun are one."""
    chunks, rest = divmod(spec.frames, 17)
    return (4, 5 * chunks + math.ceil(rest / 4), spec.height_px // 8, spec.width_px // 8)


def audioldm_latent(spec: AVSpec) -> tuple[int, int, int]:
    return (8, spec.mel_frames // 4, spec.n_mels // 4)


def layout_of(spec: AVSpec, *, task_columns: int = 1, patch: tuple[int, int, int] = (1, 2, 2)) -> LatentLayout:
    return LatentLayout(opensora_latent(spec), audioldm_latent(spec), task_columns, patch)


def test_the_papers_clip_has_the_papers_shapes() -> None:
    assert (PAPER.frames, PAPER.samples, PAPER.mel_frames) == (68, 64_000, 400)
    assert (PAPER.pixel_shape_CTHW, PAPER.mel_shape_TF) == ((3, 68, 256, 256), (400, 64))
    layout = layout_of(PAPER)
    assert (layout.video_CTHW, layout.audio_CTF) == ((4, 20, 32, 32), (8, 100, 16))
    assert (layout.audio_fold, layout.audio_columns, layout.width) == (2, 5, 38)
    assert layout.unified_CTHW == (4, 20, 32, 38)
    assert layout.grid_THW == (20, 16, 19)
    assert layout.tokens == 6080


@pytest.mark.parametrize(
    ("change", "grid_THW"),
    [({"duration_s": 8.0}, (40, 16, 19)), ({"width_px": 384}, (20, 16, 27)), ({"video_rate_hz": 34}, None)],
)
def test_other_clips_are_derived_in_the_same_place(change: dict, grid_THW: tuple[int, int, int] | None) -> None:
    """Twice the rate has 40 latent frames for 100 steps of sound: no whole number of columns."""
    spec = PAPER.model_copy(update=change)
    if grid_THW is None:
        with pytest.raises(ValueError, match=r"100 steps of time must be a multiple of the video's 40 latent frames"):
            layout_of(spec)
    else:
        assert layout_of(spec).grid_THW == grid_THW


@pytest.mark.parametrize(
    ("video", "audio", "task_columns", "patch", "words"),
    [
        (
            (4, 20, 32, 32),
            (6, 100, 16),
            1,
            (1, 2, 2),
            "its 6 channels must be a multiple of the video's 4: choose codecs",
        ),
        (
            (4, 16, 32, 32),
            (8, 100, 16),
            1,
            (1, 2, 2),
            "multiple of the video's 16 latent frames: change spec.duration_s",
        ),
        (
            (4, 20, 40, 32),
            (8, 100, 16),
            1,
            (1, 2, 2),
            "are 32 high and must be .* 40: change spec.height_px or spec.n_mels",
        ),
        ((4, 20, 32, 32), (8, 100, 16), 2, (1, 2, 2), "39 columns are no multiple of 2: task_columns 3 would fit"),
        ((4, 20, 32, 32), (8, 100, 16), 1, (3, 2, 2), "20 latent frames are no multiple of 3: change model.patch_THW"),
        ((4, 20, 32, 32), (8, 100, 16), 1, (1, 5, 2), "32 rows are no multiple of 5: change model.patch_THW"),
        ((4, 20, 32, 32), (8, 100, 0), 1, (1, 2, 2), "must not be below 1"),
        ((4, 20, 32, 32), (8, 100, 16), -1, (1, 2, 2), "must not be below 1"),
    ],
)
def test_what_does_not_tile_is_told_with_what_to_change(video, audio, task_columns, patch, words) -> None:
    with pytest.raises(ValueError, match=words):
        LatentLayout(video, audio, task_columns, patch)


@settings(max_examples=60, deadline=None)
@given(
    seconds=st.integers(1, 10),
    rate=st.sampled_from([8, 17, 34]),
    sides=st.tuples(st.sampled_from([2, 4, 8]), st.integers(1, 5)),
    hop=st.sampled_from([125, 160, 200, 250]),
    mels=st.sampled_from([32, 64, 128]),
    task_columns=st.integers(0, 3),
    patch=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)),
)
@example(seconds=4, rate=17, sides=(4, 4), hop=160, mels=64, task_columns=1, patch=(1, 2, 2))
def test_any_clip_either_tiles_exactly_or_is_refused(seconds, rate, sides, hop, mels, task_columns, patch) -> None:
    spec = AVSpec(
        duration_s=float(seconds), video_rate_hz=rate, height_px=64 * sides[0], width_px=64 * sides[1],
        canonical_short_side_px=64, hop=hop, n_mels=mels,
    )  # fmt: skip
    (_, t, h, w), (_, steps, bins) = opensora_latent(spec), audioldm_latent(spec)
    tiles = (
        steps % t == 0 and 2 * bins == h and t % patch[0] == 0 and h % patch[1] == 0
        and (w + steps // t + task_columns) % patch[2] == 0
    )  # fmt: skip
    if not tiles:
        with pytest.raises(ValueError, match=r"change|would fit"):
            layout_of(spec, task_columns=task_columns, patch=patch)
        return
    layout = layout_of(spec, task_columns=task_columns, patch=patch)
    video, audio, unified = layout.video_CTHW, layout.audio_CTF, layout.unified_CTHW
    columns = math.prod(unified[:3])
    assert math.prod(unified) == math.prod(video) + math.prod(audio) + task_columns * columns, "no value lost, none new"
    assert math.prod(audio) == layout.audio_columns * columns
    assert layout.tokens * math.prod(patch) * unified[0] == math.prod(unified)
    assert spec.mel_frames * hop == spec.samples


@pytest.mark.parametrize(
    ("change", "words"),
    [({"duration_s": 4.01}, "whole number of samples: change either"), ({"hop": 300}, "change hop or duration_s")],
)
def test_a_clip_of_broken_samples_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AVSpec.model_validate(PAPER.model_dump() | change)
