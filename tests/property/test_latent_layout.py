"""Laws of the unified latent, for every layout that tiles."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.model import JointLatent
from uniform_core.model.latent import audio_to_columns, columns_to_audio, given_tokens, join, split
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality

sizes = st.integers(1, 3)
PAPER = LatentLayout((4, 20, 32, 32), (8, 100, 16), 1)


@st.composite
def layouts(draw: st.DrawFn) -> LatentLayout:
    c, t, fold, bins, w, units = (draw(sizes) for _ in range(6))
    return LatentLayout((c, t, fold * bins, w), (c * fold, t * units, bins), draw(sizes), (1, 1, 1))


def latent_of(layout: LatentLayout, batch: int = 2) -> JointLatent:
    video = torch.arange(float(batch * torch.Size(layout.video_CTHW).numel())).view(batch, *layout.video_CTHW)
    audio = -1 - torch.arange(float(batch * torch.Size(layout.audio_CTF).numel())).view(batch, *layout.audio_CTF)
    return JointLatent(video, audio)


@settings(max_examples=40, deadline=None)
@given(layout=layouts())
def test_split_takes_back_what_join_put_together(layout: LatentLayout) -> None:
    latent = latent_of(layout)
    columns = torch.full((layout.video_CTHW[0], layout.video_CTHW[2], layout.task_columns), 0.5)
    unified = join(latent, columns, layout)
    assert unified.shape[1:] == layout.unified_CTHW
    assert (unified[..., -layout.task_columns :] == 0.5).all()
    back = split(unified, layout)
    assert all(torch.equal(back[m], latent[m]) for m in Modality)


@settings(max_examples=40, deadline=None)
@given(layout=layouts())
def test_audio_unit_i_lies_in_frame_i_over_w(layout: LatentLayout) -> None:
    channels, units, bins = layout.audio_CTF
    index = torch.arange(float(units)).view(1, 1, units, 1).expand(1, channels, units, bins)
    columns = audio_to_columns(index, layout)
    for frame in range(layout.video_CTHW[1]):
        expected = torch.arange(layout.audio_columns) + frame * layout.audio_columns
        assert (columns[0, :, frame] == expected).all()
    assert torch.equal(columns_to_audio(columns, layout), index)


@settings(max_examples=40, deadline=None)
@given(layout=layouts())
def test_frequency_rises_with_height(layout: LatentLayout) -> None:
    channels, units, bins = layout.audio_CTF
    index = torch.arange(float(bins)).expand(1, channels, units, bins)
    assert (audio_to_columns(index, layout).diff(dim=3) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(layout=layouts())
def test_variances_are_split_as_noises_are(layout: LatentLayout) -> None:
    """Of 2C channels the first half is the noise of both modalities, the second the variance."""
    columns = torch.zeros(layout.video_CTHW[0], layout.video_CTHW[2], layout.task_columns)
    noise, variance = (join(latent_of(layout), columns, layout) + shift for shift in (0.0, 0.25))
    both = split(torch.cat([noise, variance], dim=1), layout)
    for modality in Modality:
        said_noise, said_variance = both[modality].chunk(2, dim=1)
        assert torch.equal(said_noise, latent_of(layout)[modality])
        assert torch.equal(said_variance, latent_of(layout)[modality] + 0.25)


def test_a_patch_holds_all_channels_of_one_mel_bin() -> None:
    """Corrections.md: the reason for the order of the audio columns, at the paper's size."""
    _, units, bins = PAPER.audio_CTF
    index = torch.arange(float(bins)).expand(1, 8, units, bins)
    columns = audio_to_columns(index, PAPER)
    assert (columns[:, :, :, 0::2] == columns[:, :, :, 1::2]).all()


@pytest.mark.parametrize(("modality", "columns"), [(Modality.VIDEO, range(16)), (Modality.AUDIO, range(16, 19))])
def test_given_tokens_hold_nothing_that_is_made(modality: Modality, columns: range) -> None:
    flags = given_tokens(PAPER, modality)
    assert [index for index, flag in enumerate(flags) if flag] == list(columns)
    narrow = LatentLayout((4, 2, 4, 3), (4, 2, 4), 2)  # the second token holds a column of each modality
    assert given_tokens(narrow, modality) == ((modality is Modality.VIDEO), False, False)
