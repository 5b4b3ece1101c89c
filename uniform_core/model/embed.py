"""What turns latents, times, rates and texts into tokens of the transformer's width.

Axes: B batch, C channels, T time, H height, W width, S tokens of a frame, L text tokens, D text width, M hidden width,
K kinds of columns.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from uniform_core.model.config import TIME_WAVES
from uniform_core.model.kernels import gelu_tanh


class PatchEmbed(nn.Module):
    """Latent grid → tokens: Conv3d with kernel = stride = patch, computed as one matrix product."""

    def __init__(self, channels: int, hidden: int, patch_THW: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch_THW = patch_THW
        self.proj = nn.Conv3d(channels, hidden, kernel_size=patch_THW, stride=patch_THW)

    def forward(self, grid_BCTHW: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B t S M"]:
        """Tokens of each frame in the order H, W; the grid is zero-padded at its far ends to whole patches."""
        p_t, p_h, p_w = self.patch_THW
        pads = [(-size) % patch for size, patch in zip(grid_BCTHW.shape[2:], self.patch_THW, strict=True)]
        if any(pads):
            grid_BCTHW = functional.pad(grid_BCTHW, (0, pads[2], 0, pads[1], 0, pads[0]))
        rows = rearrange(grid_BCTHW, "b c (t i) (h j) (w k) -> b t (h w) (c i j k)", i=p_t, j=p_h, k=p_w)
        return functional.linear(rows, self.proj.weight.flatten(1), self.proj.bias)


def unpatchify(
    tokens_BTSP: Float[Tensor, "B t S P"], *, patch_THW: tuple[int, int, int], size_THW: tuple[int, int, int]
) -> Float[Tensor, "B C T H W"]:
    """The grid of final-layer tokens `(p_t p_h p_w c)`, cropped to `size_THW`."""
    p_t, p_h, p_w = patch_THW
    size_t, size_h, size_w = size_THW
    grid: Tensor = rearrange(
        tokens_BTSP, "b t (h w) (i j k c) -> b c (t i) (h j) (w k)", h=math.ceil(size_h / p_h), i=p_t, j=p_h, k=p_w
    )
    return grid[:, :, :size_t, :size_h, :size_w]


def waves(values_N: Float[Tensor, "N"], width: int = TIME_WAVES) -> Float[Tensor, "N waves"]:
    """Cosines, then sines, of a number at geometric frequencies from 1 to 1/10000, float32."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=values_N.device)
    angles = values_N.float()[:, None] * torch.exp(-math.log(10_000.0) * steps / half)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class ScalarEmbedder(nn.Module):
    """A number a sample (diffusion time, frame rate) → a vector."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIME_WAVES, hidden), nn.SiLU(), nn.Linear(hidden, hidden))

    def forward(self, values_N: Float[Tensor, "N"]) -> Float[Tensor, "N M"]:
        code: Tensor = self.mlp(waves(values_N).to(next(self.mlp.parameters()).dtype))
        return code


class Mlp(nn.Module):
    """Linear, GELU (tanh form), Linear."""

    def __init__(self, width_in: int, inner: int, width_out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width_in, inner)
        self.fc2 = nn.Linear(inner, width_out)

    def forward(self, x: Float[Tensor, "... width_in"]) -> Float[Tensor, "... width_out"]:
        y: Tensor = self.fc2(gelu_tanh(self.fc1(x)))
        return y


class CaptionEmbedder(nn.Module):
    """Text features → tokens. `y_embedding` is the reference's untrained null caption, kept for its name in files."""

    def __init__(self, text_width: int, hidden: int, max_tokens: int) -> None:
        super().__init__()
        self.y_embedding: Tensor
        self.register_buffer("y_embedding", torch.empty(max_tokens, text_width))
        self.y_proj = Mlp(text_width, hidden, hidden)

    def forward(self, text_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B L M"]:
        tokens: Tensor = self.y_proj(text_BLD.to(self.y_proj.fc1.weight.dtype))
        return tokens


class ModalityEmbedder(nn.Module):
    """A learned vector for video, audio and task each; a token has the mean of those of its columns."""

    def __init__(self, hidden: int, *, kinds: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kinds, hidden))

    def forward(self, shares_SK: Float[Tensor, "S K"]) -> Float[Tensor, "S M"]:
        return shares_SK.to(self.weight) @ self.weight


def grid_positions(
    height: int, width: int, *, scale: float, anchor_HW: tuple[int, int] | None = None
) -> tuple[Float[Tensor, "H"], Float[Tensor, "W"]]:
    """Where the rows and columns of a token grid stand, in STDiT3's units.

    STDiT3 stretches a grid to a side of base = round(sqrt(H·W)). With `anchor_HW` the base and the divisors are those
    of another grid (the video's), whose tokens so keep their places when columns are added to its right.
    """
    rows, columns = anchor_HW or (height, width)
    base = round(math.sqrt(rows * columns))
    at_H = torch.arange(height, dtype=torch.float32) / scale * base / rows
    at_W = torch.arange(width, dtype=torch.float32) / scale * base / columns
    return at_H, at_W


def sincos_embedding(at_H: Float[Tensor, "H"], at_W: Float[Tensor, "W"], *, hidden: int) -> Float[Tensor, "S M"]:
    """Position codes of a frame's tokens: the first half of the channels says the column, the second the row."""
    steps = torch.arange(0, hidden // 2, 2, dtype=torch.float32)
    frequencies = 10_000.0 ** (-steps / (hidden // 2))

    def code(at: Tensor) -> Tensor:
        angles = at[:, None] * frequencies
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)

    height, width = at_H.shape[0], at_W.shape[0]
    code_W = code(at_W)[None, :].expand(height, -1, -1)
    code_H = code(at_H)[:, None].expand(-1, width, -1)
    return torch.cat([code_W, code_H], dim=-1).flatten(0, 1)
