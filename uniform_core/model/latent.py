"""The unified latent: one grid of columns, video, then audio, then the task (paper §3.3.1–3.3.2).

Audio [(c d), (t w), f] lies as w columns, [c, t, (f d), w]: audio unit i is in latent frame i // w, and frequency
rises with height. Corrections.md has the reason for this order.
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
    """The audio latent as columns of the grid: `(c d) (t w) f -> c t (f d) w`."""
    columns: Tensor = rearrange(
        audio_BCTF, "b (c d) (t w) f -> b c t (f d) w", d=layout.audio_fold, w=layout.audio_columns
    )
    return columns


def columns_to_audio(columns_BCTHW: Float[Tensor, "B C T H W"], layout: LatentLayout) -> Float[Tensor, "B C_a T_a F"]:
    """The audio latent of its columns: the exact inverse of `audio_to_columns`."""
    audio: Tensor = rearrange(columns_BCTHW, "b c t (f d) w -> b (c d) (t w) f", d=layout.audio_fold)
    return audio


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
    width_v = layout.video_CTHW[3]
    audio_end = width_v + layout.audio_columns
    owners = [Modality.VIDEO] * width_v + [Modality.AUDIO] * layout.audio_columns + [None] * layout.task_columns
    assert len(owners) == audio_end + layout.task_columns
    patch = layout.patch_THW[2]
    tokens = [owners[start : start + patch] for start in range(0, layout.width, patch)]
    return tuple(frozenset(owner for owner in token if owner is not None) for token in tokens)


def given_tokens(layout: LatentLayout, given: Modality) -> tuple[bool, ...]:
    """For each token column, whether it holds columns of the given modality and none that is being made."""
    return tuple(owners == {given} for owners in token_owners(layout))
