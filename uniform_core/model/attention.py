"""Attention inside frames, along time, and to text.

Axes: B batch, N sequences of tokens, S tokens of a sequence, L text tokens, M hidden width, h heads, d head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from uniform_core.model.kernels import attend, rms_norm, rotate_pairs

ROPE_THETA = 10_000.0


class HeadNorm(nn.Module):
    """The gain of a root-mean-square norm over a head; who owns it applies it."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(head_width))


class RotaryTime(nn.Module):
    """The frequencies by which temporal attention turns pairs of channels; not trained, one for all blocks."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.freqs: Tensor
        self.register_buffer("freqs", self.computed())

    def computed(self) -> Float[Tensor, "half_d"]:
        """1 / 10000^(2i/d)."""
        steps = torch.arange(0, self.head_width, 2, dtype=torch.float32)
        return ROPE_THETA ** (-steps / self.head_width)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RotaryTime:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's own signature
        if self.freqs.dtype != torch.float32:  # angles of late frames lose their meaning in bfloat16
            self.freqs = self.computed().to(self.freqs.device)
        return self

    def rotation(self, length: int) -> Float[Tensor, "T two d"]:
        """(cos, sin) of each position and channel; sin has the sign of its channel in the pair (minus, plus)."""
        positions = torch.arange(length, dtype=torch.float32, device=self.freqs.device)
        angles = (positions[:, None] * self.freqs).repeat_interleave(2, dim=-1)
        signs = torch.tensor([-1.0, 1.0], device=self.freqs.device).repeat(self.head_width // 2)
        return torch.stack([angles.cos(), angles.sin() * signs], dim=1)


class SelfAttention(nn.Module):
    """Multi-head attention of sequences to themselves, with q and k normalised before they are rotated."""

    def __init__(self, hidden: int, heads: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.q_norm = HeadNorm(hidden // heads) if qk_norm else None
        self.k_norm = HeadNorm(hidden // heads) if qk_norm else None
        self.proj = nn.Linear(hidden, hidden)

    def forward(
        self,
        x_NSM: Float[Tensor, "N S M"],
        *,
        rotation_T2d: Float[Tensor, "S two d"] | None = None,
        sees_SS: Bool[Tensor, "S S"] | None = None,
    ) -> Float[Tensor, "N S M"]:
        """`sees_SS` says which keys (second axis) each token reads; None: all."""
        n, length, hidden = x_NSM.shape
        qkv = self.qkv(x_NSM).view(n, length, 3, self.heads, hidden // self.heads)
        qk, values = qkv.split([2, 1], dim=2)  # one view, so that backward makes one copy
        if self.q_norm is not None and self.k_norm is not None:
            qk = rms_norm(qk, torch.stack([self.q_norm.weight, self.k_norm.weight])[:, None])
        if rotation_T2d is not None:
            qk = rotate_pairs(qk, rotation_T2d)
        query, key = qk.unbind(2)
        mask = None if sees_SS is None else sees_SS[None, None]
        y: Tensor = self.proj(attend(query, key, values.squeeze(2), mask=mask))
        return y


@dataclass(frozen=True, eq=False)
class TextKeys:
    """Keys and values of a batch of texts for one block. `mask_B11L` is None where no row is padded."""

    key_BLhd: Float[Tensor, "B L h d"]
    value_BLhd: Float[Tensor, "B L h d"]
    mask_B11L: Bool[Tensor, "B 1 1 L"] | None


class CrossAttention(nn.Module):
    """Attention of tokens to the real tokens of their own text: the reference's block-diagonal one over packed texts.

    It is computed as dense attention to padded texts under a mask, which is the same up to rounding: a masked token has
    the weight exp(-inf) = 0. What is computed for nothing is little (docs/decisions/018-preset-paper.md).

    Nothing but `qk_norm` bounds how sharp it is. Without, high learning rates make every token hear one word alone,
    for good: no gradient reaches the other words.
    """

    def __init__(self, hidden: int, heads: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(hidden, hidden)
        self.kv_linear = nn.Linear(hidden, 2 * hidden)
        self.q_norm = HeadNorm(hidden // heads) if qk_norm else None
        self.k_norm = HeadNorm(hidden // heads) if qk_norm else None
        self.proj = nn.Linear(hidden, hidden)

    def keys(self, text_BLM: Float[Tensor, "B L M"], mask_B11L: Bool[Tensor, "B 1 1 L"] | None) -> TextKeys:
        """What this block reads of the texts: the same at every diffusion step."""
        b, length, hidden = text_BLM.shape
        key, value = self.kv_linear(text_BLM).view(b, length, 2, self.heads, hidden // self.heads).unbind(2)
        if self.k_norm is not None:
            key = rms_norm(key, self.k_norm.weight)
        return TextKeys(key, value, mask_B11L)

    def forward(self, x_BSM: Float[Tensor, "B S M"], text: TextKeys) -> Float[Tensor, "B S M"]:
        b, length, hidden = x_BSM.shape
        query_BShd = self.q_linear(x_BSM).view(b, length, self.heads, hidden // self.heads)
        if self.q_norm is not None:
            query_BShd = rms_norm(query_BShd, self.q_norm.weight)
        y: Tensor = self.proj(attend(query_BShd, text.key_BLhd, text.value_BLhd, mask=text.mask_B11L))
        return y
