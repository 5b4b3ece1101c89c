"""Frames → the clips that video nets look at, by each reference's own arithmetic. Pure functions.

Axes: T frames, H height, W width, C channels.
Source: MM-Diffusion 7250222 (its loader, its evaluator, fvd.py); StyleGAN-V 3fecd69 by content-debiased-fvd a1e037a.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from uniform_core.errors import ConfigError
from uniform_core.metrics.published.i3d import SIDE_PX

LOADER_PX: Final = 64  # to which MM-Diffusion's evaluator makes every clip smaller, whatever its size


def mm_diffusion_frames(
    frames_THW3: UInt8[np.ndarray, "T H W 3"],
    *,
    side_px: int = LOADER_PX,
    has_antialias: bool = False,
    is_truncated: bool = True,
) -> UInt8[np.ndarray, "T side side 3"]:
    """Frames as MM-Diffusion's evaluator reads them: bicubic into a square, aspect kept, black around.

    `has_antialias`: as torchvision since 0.17 does by default; the reference was run with one that did not.
    `is_truncated`: its way to [-1, 1] and back cuts instead of rounding, which makes 63 of the 256 values one darker.
    Raises ConfigError for a picture so narrow that nothing is left of it.
    """
    frames_TCHW = _by_channel(frames_THW3).float()
    height_px, width_px = frames_THW3.shape[1:3]
    ratio = min(side_px / height_px, side_px / width_px)
    size = (int(height_px * ratio), int(width_px * ratio))
    if 0 in size:
        raise ConfigError(
            "MM-Diffusion's frames",
            expected=f"pictures of which something is left in {side_px}x{side_px}",
            found=f"{width_px}x{height_px}",
            fix="Leave the clip out.",
        )
    small_TCHW = functional.interpolate(
        frames_TCHW, size=size, mode="bicubic", align_corners=False, antialias=has_antialias
    )
    whole_TCHW = small_TCHW.clamp(0, 255).round()
    if is_truncated:
        whole_TCHW = ((whole_TCHW / 127.5 - 1 + 1) * 127.5).clamp(0, 255)
    over_h, over_w = side_px - size[0], side_px - size[1]
    around = (over_w // 2, over_w - over_w // 2, over_h // 2, over_h - over_h // 2)
    square_TCHW = functional.pad(whole_TCHW.to(torch.uint8), around)
    return square_TCHW.permute(0, 2, 3, 1).contiguous().numpy()


def mm_diffusion_clip(frames_THW3: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "3 T 224 224"]:
    """A clip in [-1, 1]: the short side bilinear to 224, the long one rounded up, the middle cut out."""
    height_px, width_px = frames_THW3.shape[1:3]
    scale = SIDE_PX / min(height_px, width_px)
    is_wide = height_px < width_px
    size = (SIDE_PX, math.ceil(width_px * scale)) if is_wide else (math.ceil(height_px * scale), SIDE_PX)
    resized_TCHW = _bilinear(_by_channel(frames_THW3).float() / 255.0, size)
    top, left = ((side - SIDE_PX) // 2 for side in size)
    cut_TCHW = resized_TCHW[:, :, top : top + SIDE_PX, left : left + SIDE_PX]
    return ((cut_TCHW - 0.5) * 2).transpose(0, 1).contiguous()


def styleganv_clip(frames_THW3: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "3 T 224 224"]:
    """A clip in [-1, 1]: bilinear to 224x224 whatever its aspect."""
    resized_TCHW = _bilinear(_by_channel(frames_THW3).float(), (SIDE_PX, SIDE_PX))
    return (resized_TCHW / 255.0 * 2 - 1).transpose(0, 1).contiguous()


def plain_clip(frames_THW3: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "3 T H W"]:
    """A clip from 0 to 255 at its own size: for nets that scale and resize inside, such as the TorchScript ones."""
    return _by_channel(frames_THW3).float().transpose(0, 1).contiguous()


def _by_channel(frames_THW3: np.ndarray) -> Tensor:
    return torch.from_numpy(frames_THW3).permute(0, 3, 1, 2)


def _bilinear(frames_TCHW: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(frames_TCHW, size=size, mode="bilinear", align_corners=False)
