"""The cosine codecs: exact when all is kept, the nearest when not, and a wrong spec is said."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from uniform_core.codecs import DctMelConfig, DctVideoConfig
from uniform_core.codecs.dct import dct_matrix, rank_frequencies
from uniform_core.codecs.mel import LOG_MEL_FLOOR
from uniform_core.datasets import ProceduralConfig
from uniform_core.errors import ConfigError
from uniform_core.seeds import torch_generator
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
VIDEO = torch.rand(2, *SPEC.pixel_shape_CTHW, generator=torch_generator("video")) * 2 - 1
MEL = torch.rand(2, *SPEC.mel_shape_TF, generator=torch_generator("mel")) * 12 + LOG_MEL_FLOOR


@pytest.mark.parametrize("block_THW", [(4, 8, 8), (2, 4, 16), (1, 1, 1)])
def test_video_round_trip_is_exact_when_all_is_kept(block_THW: tuple[int, int, int]):
    config = DctVideoConfig(block_THW=block_THW, keep=DctVideoConfig(block_THW=block_THW, keep=1).block_values)
    codec = config.build(SPEC)
    torch.testing.assert_close(codec.decode(codec.encode(VIDEO)), VIDEO, rtol=0, atol=2e-6)


@pytest.mark.parametrize("block_TF", [(8, 16), (16, 4), (1, 64)])
def test_mel_round_trip_is_exact_when_all_is_kept(block_TF: tuple[int, int]):
    codec = DctMelConfig(block_TF=block_TF, keep=block_TF[0] * block_TF[1]).build(SPEC)
    torch.testing.assert_close(codec.decode(codec.encode(MEL)), MEL, rtol=0, atol=2e-5)


def test_energy_is_kept_when_all_is_kept():
    latent = DctVideoConfig(keep=768).build(SPEC).encode(VIDEO)
    torch.testing.assert_close(latent.square().sum(), VIDEO.square().sum(), rtol=1e-5, atol=0)


def test_keeping_fewer_gives_the_first_channels_of_keeping_more():
    many, few = (DctVideoConfig(keep=keep).build(SPEC).encode(VIDEO) for keep in (64, 16))
    torch.testing.assert_close(many[:, :16], few, rtol=0, atol=0)
    many, few = (DctMelConfig(keep=keep).build(SPEC).encode(MEL) for keep in (64, 16))
    torch.testing.assert_close(many[:, :16], few, rtol=0, atol=0)


def test_coding_again_changes_nothing():
    """An orthonormal projection: what has been said can be said again in the same words."""
    codec = DctVideoConfig().build(SPEC)
    latent = codec.encode(VIDEO * 0.2)
    torch.testing.assert_close(codec.encode(codec.decode(latent)), latent, rtol=0, atol=1e-5)


def test_shapes_of_the_tiny_preset():
    assert DctVideoConfig().latent_shape_CTHW(SPEC) == (16, 8, 4, 4)
    assert DctMelConfig().latent_shape_CTF(SPEC) == (16, 16, 4)


def test_the_first_channel_is_the_brightness_of_the_block():
    grey = torch.full((1, *SPEC.pixel_shape_CTHW), 0.5)
    latent = DctVideoConfig().build(SPEC).encode(grey)
    torch.testing.assert_close(latent[:, 0], torch.full((1, 8, 4, 4), 0.5 * 768**0.5), rtol=1e-5, atol=0)
    assert latent[:, 1:].abs().max() < 1e-5


def test_blocks_lie_where_they_should():
    """A change in one block of the picture changes that block of the latent, and no other."""
    changed = VIDEO.clone()
    changed[:, :, 4:8, 8:16, 24:32] += 0.1
    codec = DctVideoConfig().build(SPEC)
    moved = (codec.encode(changed) - codec.encode(VIDEO)).abs().amax((0, 1)) > 1e-4
    assert moved.nonzero().tolist() == [[1, 1, 3]]


def test_rendered_clips_come_back_well_enough():
    """The quality at 1/48 of the numbers that the analytic order was chosen for (docs/experiments.md)."""
    config = ProceduralConfig()
    codec = DctVideoConfig().build(SPEC)
    errors = []
    for label in config.labels:
        frames = config.scene("held_out", label, form="short", index=0).frames(rate_hz=16, size_px=96)[:32]
        small = torch.from_numpy(frames).float().reshape(32, 32, 3, 32, 3, 3).mean((2, 4)) / 127.5 - 1
        clip = small.permute(3, 0, 1, 2)[None]
        errors.append((codec.decode(codec.encode(clip)) - clip).square().mean() / 4)
    psnr = -10 * torch.log10(torch.stack(errors))
    assert psnr.mean() > 23.5
    assert psnr.min() > 18.5


def test_frequencies_are_ranked_from_slow_to_fast():
    ranked = rank_frequencies((4, 4), (1.0, 1.0), keep=16)
    assert ranked[:3] == [(0, 0), (0, 1), (1, 0)]
    assert ranked[-1] == (3, 3)
    assert len(set(ranked)) == 16
    assert rank_frequencies((4, 4), (1.0, 9.0), keep=4) == [(0, 0), (1, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize("size", [1, 2, 8, 17])
def test_dct_matrix_is_orthonormal(size: int):
    matrix = dct_matrix(size)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size, dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_spec_that_does_not_fit_is_a_wrong_call():
    odd = SPEC.model_copy(update={"height_px": 36})
    with pytest.raises(ConfigError, match="dct_video"):
        DctVideoConfig().build(odd)
    with pytest.raises(ConfigError, match="dct_mel"):
        DctMelConfig(block_TF=(7, 16)).latent_shape_CTF(SPEC)


def test_nobody_keeps_more_than_there_is():
    with pytest.raises(ValidationError, match="769"):
        DctVideoConfig(keep=769)
    with pytest.raises(ValidationError, match="129"):
        DctMelConfig(keep=129)
    with pytest.raises(ValidationError, match="block_THW"):
        DctVideoConfig.model_validate({"block_THW": (4, 0, 8)})


CHUNKED = AVSpec(duration_s=2.0, video_rate_hz=17, height_px=32, width_px=32, canonical_short_side_px=32, hop=200)
CHUNKED_VIDEO = torch.rand(2, *CHUNKED.pixel_shape_CTHW, generator=torch_generator("chunked")) * 2 - 1


def test_latent_frames_of_chunks_lie_as_those_of_open_soras_vae():
    """Facts/model.md §2.3: {0}, {1..4}, {5..8}, {9..12}, {13..16} of every 17 pictures."""
    config = DctVideoConfig(keep=768, chunk_frames=17)
    codec = config.build(CHUNKED)
    latent = codec.encode(CHUNKED_VIDEO)
    assert latent.shape[1:] == config.latent_shape_CTHW(CHUNKED) == (768, 10, 4, 4)
    torch.testing.assert_close(codec.decode(latent), CHUNKED_VIDEO, rtol=0, atol=2e-6)
    for picture in range(34):
        changed = CHUNKED_VIDEO.clone()
        changed[:, :, picture] *= -1
        differs = (codec.encode(changed) - latent).abs().amax(dim=(0, 1, 3, 4)) > 1e-4
        chunk, place = divmod(picture, 17)
        assert differs.nonzero().flatten().tolist() == [5 * chunk + (place + 3) // 4]


def test_chunks_enter_fingerprints_only_where_there_are_any():
    assert "chunk_frames" not in DctVideoConfig().fingerprint_params()
    assert DctVideoConfig(chunk_frames=17).fingerprint_params()["chunk_frames"] == 17


def test_chunks_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="1 and whole blocks of 4"):
        DctVideoConfig(chunk_frames=16)
    with pytest.raises(ConfigError, match="a multiple of chunk_frames 17 frames; found 32"):
        DctVideoConfig(chunk_frames=17).latent_shape_CTHW(SPEC)
