"""The temporal part of Open-Sora's VAE 1.2: a causal 3-D autoencoder of the latents of single frames.

Parameter names are those of Open-Sora's checkpoints. Source: hpcaitech/Open-Sora v1.2.0, vae_temporal.py.
Axes: B batch, C channels, T time (t: of the latent), H height, W width.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from uniform_core.codecs.vae_sizes import TemporalVaeSize

_LOGVAR_RANGE = (-30.0, 20.0)


class Posterior(NamedTuple):
    """The normal distribution of a latent."""

    mean_BCTHW: Float[Tensor, "B C t H W"]
    logvar_BCTHW: Float[Tensor, "B C t H W"]


class CausalConv3d(nn.Module):
    """A convolution of frames that sees no later frame: all zeros of the time axis are put in front."""

    def __init__(
        self, channels_in: int, channels_out: int, *, kernel: int, time_stride: int = 1, has_bias: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            channels_in,
            channels_out,
            kernel,
            stride=(time_stride, 1, 1),
            padding=(0, kernel // 2, kernel // 2),
            bias=has_bias,
        )
        self._front = kernel - time_stride

    def forward(self, x_BCTHW: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D t H W"]:
        padded = functional.pad(x_BCTHW, (0, 0, 0, 0, self._front, 0)) if self._front else x_BCTHW
        output_BDTHW: Tensor = self.conv(padded)
        return output_BDTHW


class ResBlock(nn.Module):
    """Two normed convolutions beside a way past them, which is a projection where the width changes."""

    def __init__(self, channels_in: int, channels_out: int, *, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels_in)
        self.conv1 = CausalConv3d(channels_in, channels_out, kernel=3, has_bias=False)
        self.norm2 = nn.GroupNorm(groups, channels_out)
        self.conv2 = CausalConv3d(channels_out, channels_out, kernel=3, has_bias=False)
        self.conv3 = (
            CausalConv3d(channels_in, channels_out, kernel=1, has_bias=False) if channels_in != channels_out else None
        )

    def forward(self, x_BCTHW: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D T H W"]:
        inner = self.conv1(functional.silu(self.norm1(x_BCTHW)))
        inner = self.conv2(functional.silu(self.norm2(inner)))
        past_BDTHW = x_BCTHW if self.conv3 is None else self.conv3(x_BCTHW)
        output_BDTHW: Tensor = past_BDTHW + inner
        return output_BDTHW


def _res_blocks(channels_in: int, channels_out: int, size: TemporalVaeSize) -> nn.Sequential:
    widths = [channels_in] + [channels_out] * size.res_blocks
    return nn.Sequential(*(ResBlock(*pair, groups=size.groups) for pair in itertools.pairwise(widths)))


class TemporalEncoder(nn.Module):
    """Latent frames → moments, shorter in time."""

    def __init__(self, size: TemporalVaeSize, *, channels: int) -> None:
        super().__init__()
        widths = size.widths
        self.conv_in = CausalConv3d(channels, size.filters, kernel=3, has_bias=False)
        self.block_res_blocks = nn.ModuleList(
            _res_blocks(*pair, size) for pair in zip((size.filters, *widths[:-1]), widths, strict=True)
        )
        self.conv_blocks = nn.ModuleList(  # an Identity keeps the index of its level, and has no names
            CausalConv3d(width, width, kernel=3, time_stride=2) if halves else nn.Identity()
            for width, halves in zip(widths[:-1], size.halves_time, strict=True)
        )
        self.res_blocks = _res_blocks(widths[-1], widths[-1], size)
        self.norm1 = nn.GroupNorm(size.groups, widths[-1])
        self.conv2 = CausalConv3d(widths[-1], 2 * channels, kernel=1)

    def forward(self, x_BCTHW: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B twice_C t H W"]:
        x_BCTHW = self.conv_in(x_BCTHW)
        for index, level in enumerate(self.block_res_blocks):
            x_BCTHW = level(x_BCTHW)
            if index < len(self.conv_blocks):
                x_BCTHW = self.conv_blocks[index](x_BCTHW)
        moments: Tensor = self.conv2(functional.silu(self.norm1(self.res_blocks(x_BCTHW))))
        return moments


class TemporalDecoder(nn.Module):
    """A latent → latent frames. Levels are stored in the encoder's order and run from the last to the first."""

    def __init__(self, size: TemporalVaeSize, *, channels: int) -> None:
        super().__init__()
        widths = size.widths
        self.conv1 = CausalConv3d(channels, widths[-1], kernel=3)
        self.res_blocks = _res_blocks(widths[-1], widths[-1], size)
        self.block_res_blocks = nn.ModuleList(
            _res_blocks(*pair, size) for pair in zip((*widths[1:], widths[-1]), widths, strict=True)
        )
        self.conv_blocks = nn.ModuleList(
            CausalConv3d(width, 2 * width, kernel=3) if halves else nn.Identity()
            for width, halves in zip(widths[1:], size.halves_time, strict=True)
        )
        self.norm1 = nn.GroupNorm(size.groups, widths[0])
        self.conv_out = CausalConv3d(widths[0], channels, kernel=3)
        self._halves_time = size.halves_time

    def forward(self, z_BCTHW: Float[Tensor, "B C t H W"]) -> Float[Tensor, "B C T H W"]:
        x_BCTHW = self.res_blocks(self.conv1(z_BCTHW))
        for index in reversed(range(len(self.block_res_blocks))):
            x_BCTHW = self.block_res_blocks[index](x_BCTHW)
            if index and self._halves_time[index - 1]:
                x_BCTHW = rearrange(self.conv_blocks[index - 1](x_BCTHW), "b (c s) t h w -> b c (t s) h w", s=2)
        frames: Tensor = self.conv_out(functional.silu(self.norm1(x_BCTHW)))
        return frames


class TemporalVae(nn.Module):
    """One chunk of latent frames ⇄ its latent. Zero frames in front fill a chunk up, and are cut off again."""

    def __init__(self, size: TemporalVaeSize, *, channels: int) -> None:
        super().__init__()
        self._size = size
        self.encoder = TemporalEncoder(size, channels=channels)
        self.quant_conv = CausalConv3d(2 * channels, 2 * channels, kernel=1)
        self.post_quant_conv = CausalConv3d(channels, channels, kernel=1)
        self.decoder = TemporalDecoder(size, channels=channels)

    def encode(self, x_BCTHW: Float[Tensor, "B C T H W"]) -> Posterior:
        """The posterior of a chunk."""
        front = self._size.padding(x_BCTHW.shape[2])
        moments = self.quant_conv(self.encoder(functional.pad(x_BCTHW, (0, 0, 0, 0, front, 0))))
        mean_BCTHW, logvar_BCTHW = moments.chunk(2, dim=1)
        return Posterior(mean_BCTHW, logvar_BCTHW.clamp(*_LOGVAR_RANGE))

    def decode(self, z_BCTHW: Float[Tensor, "B C t H W"], *, frames: int) -> Float[Tensor, "B C {frames} H W"]:
        """The last `frames` frames of what a latent stands for."""
        decoded: Tensor = self.decoder(self.post_quant_conv(z_BCTHW))
        return decoded[:, :, self._size.padding(frames) :]
