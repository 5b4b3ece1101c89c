"""The unified latent: one grid of columns, video, then audio, then the task (paper §3.3.1–3.3.2).

Audio [(c d), (t w), f] lies as w columns, [c, t, (f d), w]: audio unit i is in latent frame i // w, and frequency
rises with height. Corrections.md has the reason for this order. Two other forms are there to be compared with it:
`plain_view`, which aligns nothing, and `chunk_aligned`, which has empty cells: they enter as zeros, and what the
network says there is dropped, so that they are neither noised nor learned nor sampled.
Axes: B batch, C channels, T time, H height, W width (columns), F mel bins of the audio latent.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from uniform_core.model.values import JointOutput
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality


def audio_to_columns(audio_BCTF: Float[Tensor, "B C_a T_a F"], layout: LatentLayout) -> Float[Tensor, "B C T H W"]:
    """The audio latent as columns of the grid, by default `(c d) (t w) f -> c t (f d) w`."""
    _, frames, height, _ = layout.video_CTHW
    w = layout.audio_columns
    if layout.audio_form == "plain_view":
        return audio_BCTF.reshape(len(audio_BCTF), -1, frames, height, w)
    if layout.audio_form == "time_major":
        columns: Tensor = rearrange(audio_BCTF, "b (c d) (t w) f -> b c t (f d) w", d=layout.audio_fold, w=w)
        return columns
    units_BCHN = rearrange(audio_BCTF, "b (c d) n f -> b c (f d) n", d=layout.audio_fold)
    empty_BCHN = units_BCHN.new_zeros(*units_BCHN.shape[:3], frames * w)
    cells_BCHN = empty_BCHN.index_copy(3, _cells(layout, units_BCHN), units_BCHN)
    laid: Tensor = rearrange(cells_BCHN, "b c h (t w) -> b c t h w", w=w)
    return laid


def columns_to_audio(columns_BCTHW: Float[Tensor, "B C T H W"], layout: LatentLayout) -> Float[Tensor, "B C_a T_a F"]:
    """The audio latent of its columns: the exact inverse of `audio_to_columns`, also of twice the channels."""
    if layout.audio_form == "plain_view":
        return columns_BCTHW.reshape(len(columns_BCTHW), -1, *layout.audio_CTF[1:])
    if layout.audio_form == "time_major":
        audio: Tensor = rearrange(columns_BCTHW, "b c t (f d) w -> b (c d) (t w) f", d=layout.audio_fold)
        return audio
    cells_BCHN = rearrange(columns_BCTHW, "b c t h w -> b c h (t w)")
    units_BCHN = cells_BCHN.index_select(3, _cells(layout, cells_BCHN))
    gathered: Tensor = rearrange(units_BCHN, "b c (f d) n -> b (c d) n f", d=layout.audio_fold)
    return gathered


def _cells(layout: LatentLayout, like: Tensor) -> Tensor:
    return torch.tensor(layout.audio_cells, device=like.device)


def join(
    latent: Mapping[Modality, Tensor], task_columns_CHW: Float[Tensor, "C H W_task"], layout: LatentLayout
) -> Float[Tensor, "B C T H W"]:
    """The unified latent of a batch; the task columns are the same in every frame."""
    video_BCTHW = latent[Modality.VIDEO]
    audio_columns = audio_to_columns(latent[Modality.AUDIO], layout).to(video_BCTHW.dtype)
    b, _, t, _, _ = video_BCTHW.shape
    task_columns = task_columns_CHW.to(video_BCTHW.dtype)[None, :, None].expand(b, -1, t, -1, -1)
    return torch.cat([video_BCTHW, audio_columns, task_columns], dim=-1)


def split(unified_BCTHW: Float[Tensor, "B C T H W"], layout: LatentLayout) -> JointOutput:
    """The modalities of a unified tensor of C or 2C channels; what stands in the task columns is dropped."""
    width_v = layout.video_CTHW[3]
    audio_end = width_v + layout.audio_columns
    return JointOutput(unified_BCTHW[..., :width_v], columns_to_audio(unified_BCTHW[..., width_v:audio_end], layout))


def token_owners(layout: LatentLayout) -> tuple[frozenset[Modality], ...]:
    """For each token column, whose columns it holds; nobody's where it holds nothing but the task."""
    return tuple(frozenset(owner for owner in token if owner is not None) for token in _tokens(layout))


def token_shares(layout: LatentLayout) -> Float[Tensor, "S K"]:
    """For each token of a frame, the shares of its columns that are video's, audio's and the task's."""
    kinds = (*Modality, None)
    shares = torch.tensor([[token.count(kind) / len(token) for kind in kinds] for token in _tokens(layout)])
    return shares.repeat(layout.grid_THW[1], 1)


def _tokens(layout: LatentLayout) -> list[tuple[Modality | None, ...]]:
    """For each token column, the owner of each column that it holds; the task's is None."""
    owners: list[Modality | None] = [Modality.VIDEO] * layout.video_CTHW[3]
    owners += [Modality.AUDIO] * layout.audio_columns
    owners += [None] * layout.task_columns
    patch = layout.patch_THW[2]
    return [tuple(owners[start : start + patch]) for start in range(0, layout.width, patch)]


def given_tokens(layout: LatentLayout, given: Modality) -> tuple[bool, ...]:
    """For each token column, whether it holds columns of the given modality and none that is being made."""
    return tuple(owners == {given} for owners in token_owners(layout))
