"""The transformer block, spatial or temporal, and the final layer: AdaLN-single throughout.

Axes: B batch, T frames, S tokens of a frame, M hidden width, P values of a patch. `_B11M` broadcasts over T and S.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from uniform_core.model.attention import CrossAttention, SelfAttention, TextKeys
from uniform_core.model.config import ModelConfig
from uniform_core.model.embed import Mlp
from uniform_core.model.kernels import NORM_EPS


def modulated(
    x_BTSM: Float[Tensor, "B T S M"], *, shift: Float[Tensor, "B *_ M"], scale: Float[Tensor, "B *_ M"]
) -> Float[Tensor, "B T S M"]:
    """Layer norm without gain, then x·(1 + scale) + shift."""
    normed = functional.layer_norm(x_BTSM, (x_BTSM.shape[-1],), eps=NORM_EPS)
    return torch.addcmul(shift, normed, 1 + scale)


def chosen(
    codes: Float[Tensor, "K B 1 1 M"], clean_codes: Float[Tensor, "K B 1 1 M"] | None, is_clean: Tensor | None
) -> tuple[Tensor, ...]:
    """The K modulations, with those of t = 0 where a token is clean (the reference's x_mask, per token)."""
    if clean_codes is None or is_clean is None:
        return codes.unbind(0)
    return torch.where(is_clean, clean_codes, codes).unbind(0)


class Block(nn.Module):
    """Self-attention (within frames, or along time), cross-attention to text, MLP; each added to its input."""

    def __init__(self, config: ModelConfig, *, temporal: bool) -> None:
        super().__init__()
        self.temporal = temporal
        self.attn = SelfAttention(config.hidden, config.heads, qk_norm=config.qk_norm)
        self.cross_attn = CrossAttention(config.hidden, config.heads, qk_norm=config.text_qk_norm)
        self.mlp = Mlp(config.hidden, int(config.hidden * config.mlp_ratio), config.hidden)
        self.scale_shift_table = nn.Parameter(torch.empty(6, config.hidden))

    def forward(
        self,
        x_BTSM: Float[Tensor, "B T S M"],
        time_codes: Float[Tensor, "6 B 1 1 M"],
        text: TextKeys,
        *,
        rotation_T2d: Float[Tensor, "T two d"] | None = None,
        sees_SS: Bool[Tensor, "S S"] | None = None,
        clean_codes: Float[Tensor, "6 B 1 1 M"] | None = None,
        is_clean: Tensor | None = None,
    ) -> Float[Tensor, "B T S M"]:
        """A temporal block takes a rotation; `sees_SS` is for a spatial one."""
        table = self.scale_shift_table[:, None, None, None]
        shift_attn, scale_attn, gate_attn, shift_mlp, scale_mlp, gate_mlp = chosen(
            table + time_codes, None if clean_codes is None else table + clean_codes, is_clean
        )
        attended = self._attend(modulated(x_BTSM, shift=shift_attn, scale=scale_attn), rotation_T2d, sees_SS)
        x_1 = torch.addcmul(x_BTSM, gate_attn, attended)
        x_2 = x_1 + self.cross_attn(x_1.flatten(1, 2), text).view_as(x_1)
        return torch.addcmul(x_2, gate_mlp, self.mlp(modulated(x_2, shift=shift_mlp, scale=scale_mlp)))

    def _attend(self, x_BTSM: Tensor, rotation_T2d: Tensor | None, sees_SS: Tensor | None) -> Tensor:
        rows = x_BTSM.transpose(1, 2) if self.temporal else x_BTSM
        attended: Tensor = self.attn(rows.flatten(0, 1), rotation_T2d=rotation_T2d, sees_SS=sees_SS).view(rows.shape)
        return attended.transpose(1, 2) if self.temporal else attended


class FinalLayer(nn.Module):
    """Tokens → values of their patch. Modulated by the time itself, not by `t_block` of it."""

    def __init__(self, hidden: int, patch_values: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, patch_values)
        self.scale_shift_table = nn.Parameter(torch.empty(2, hidden))

    def forward(
        self,
        x_BTSM: Float[Tensor, "B T S M"],
        time_BM: Float[Tensor, "B M"],
        *,
        clean_time_BM: Float[Tensor, "B M"] | None = None,
        is_clean: Tensor | None = None,
    ) -> Float[Tensor, "B T S P"]:
        """Departs from the reference for clean tokens, which it modulates twice (Open-Sora issue 719)."""
        table = self.scale_shift_table[:, None, None, None]
        clean = None if clean_time_BM is None else table + clean_time_BM[None, :, None, None]
        shift, scale = chosen(table + time_BM[None, :, None, None], clean, is_clean)
        y: Tensor = self.linear(modulated(x_BTSM, shift=shift, scale=scale))
        return y
