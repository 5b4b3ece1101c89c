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


@st.composite
def other_layouts(draw: st.DrawFn) -> LatentLayout:
    """Layouts of the two forms that stand beside the default."""
    if draw(st.booleans()):
        like = draw(layouts())
        return LatentLayout(like.video_CTHW, like.audio_CTF, like.task_columns, (1, 1, 1), "plain_view")
    c, chunks, fold, bins, w = (draw(sizes) for _ in range(5))
    units = draw(st.integers(1, 30)) * chunks
    video, audio = (c, 5 * chunks, fold * bins, w), (c * fold, units, bins)
    return LatentLayout(video, audio, draw(sizes), (1, 1, 1), "chunk_aligned")


def latent_of(layout: LatentLayout, batch: int = 2) -> JointLatent:
    video = torch.arange(float(batch * torch.Size(layout.video_CTHW).numel())).view(batch, *layout.video_CTHW)
    audio = -1 - torch.arange(float(batch * torch.Size(layout.audio_CTF).numel())).view(batch, *layout.audio_CTF)
    return JointLatent(video, audio)


@settings(max_examples=80, deadline=None)
@given(layout=layouts() | other_layouts())
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


@settings(max_examples=80, deadline=None)
@given(layout=layouts() | other_layouts())
def test_variances_are_split_as_noises_are(layout: LatentLayout) -> None:
    """Of 2C channels the first half is the noise of both modalities, the second the variance."""
    columns = torch.zeros(layout.video_CTHW[0], layout.video_CTHW[2], layout.task_columns)
    noise, variance = (join(latent_of(layout), columns, layout) + shift for shift in (0.0, 0.25))
    both = split(torch.cat([noise, variance], dim=1), layout)
    assert [both[m].shape[1] for m in Modality] == [2 * layout.video_CTHW[0], 2 * layout.audio_CTF[0]]
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


ALIGNED = LatentLayout((4, 20, 32, 32), (8, 100, 16), 2, audio_form="chunk_aligned")


def test_aligned_units_lie_where_their_middle_is_seen() -> None:
    """Latent frames of a second begin at 0, .059, .294, .529 and .765 s; an audio unit lasts .04 s."""
    assert (ALIGNED.audio_columns, ALIGNED.width) == (6, 40)
    borders_s = [0.0, 1 / 17, 5 / 17, 9 / 17, 13 / 17]
    for unit, cell in enumerate(ALIGNED.audio_cells):
        second, place = divmod(unit, 25)
        frame = max(index for index, border_s in enumerate(borders_s) if border_s <= (place + 0.5) / 25)
        assert cell // 6 == 5 * second + frame, unit
    assert list(ALIGNED.audio_cells) == sorted(set(ALIGNED.audio_cells)), "in order of time, each alone in its cell"
    counts = [[cell // 6 for cell in ALIGNED.audio_cells].count(frame) for frame in range(20)]
    assert counts == [1, 6, 6, 6, 6] * 4


def test_cells_without_a_unit_enter_as_zeros_and_are_not_read_back() -> None:
    latent = latent_of(ALIGNED)
    columns = audio_to_columns(latent.audio_BCTF, ALIGNED)
    empty = torch.ones(20 * 6, dtype=torch.bool)
    empty[list(ALIGNED.audio_cells)] = False
    cells = columns.permute(0, 1, 3, 2, 4).flatten(3)
    assert int(empty.sum()) == 20 * 6 - 100
    assert not cells[..., empty].any()
    assert cells[..., ~empty].all()
    said = columns.clone().permute(0, 1, 3, 2, 4).flatten(3)
    said[..., empty] = float("nan")  # whatever the network says there
    back = columns_to_audio(said.unflatten(3, (20, 6)).permute(0, 1, 3, 2, 4), ALIGNED)
    assert torch.equal(back, latent.audio_BCTF)


def test_a_plain_view_is_the_same_numbers_in_another_shape_and_not_aligned() -> None:
    plain = LatentLayout((4, 20, 32, 32), (8, 100, 16), 1, audio_form="plain_view")
    audio = latent_of(plain).audio_BCTF
    assert torch.equal(audio_to_columns(audio, plain), audio.view(2, 4, 20, 32, 5))
    at_s = torch.arange(100.0).view(1, 1, 100, 1).expand(1, 8, 100, 16)
    assert float(audio_to_columns(at_s, plain)[0, :, 0].amax()) == 9  # ten units, of one channel alone
    assert torch.equal(audio_to_columns(at_s, plain)[:, :, :10], audio_to_columns(at_s, plain)[:, :, 10:])


@pytest.mark.parametrize(
    ("form", "video", "audio", "words"),
    [
        ("time_major", (4, 20, 32, 32), (8, 90, 16), "must be a multiple of the video's 20 latent frames"),
        ("plain_view", (4, 20, 32, 32), (8, 90, 16), "C_a x T_a x F to be a multiple"),
        ("chunk_aligned", (4, 18, 32, 32), (8, 90, 16), "18 latent frames must be 5 a chunk"),
        ("chunk_aligned", (4, 20, 32, 32), (8, 98, 16), "98 steps of sound as many for each"),
    ],
)
def test_what_does_not_tile_is_said(form: str, video: tuple, audio: tuple, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LatentLayout(video, audio, 1, (1, 1, 1), audio_form=form)
