"""I3D of Kinetics-400: what FVD and KVD stand on.

Axes: B clips, C channels, T frames, H height, W width, D features, K classes of Kinetics-400.
Source: the torch port of the TF-hub weights, with one set of parameter names in MM-Diffusion 7250222, pytorch-i3d
05783d1 and content-debiased-fvd a1e037a. Their batch norms differ: 1e-5 in the first and last, 1e-3 in the second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from uniform_core.errors import ConfigError
from uniform_core.metrics.published.configs import I3dConfig
from uniform_core.metrics.published.loading import empty, file_named, filled, on_device_of, require_state
from uniform_core.weights import find_weights
from uniform_core.weights.reading import read_forms, read_tensors

FILE: Final = "i3d_pretrained_400.pt"
SIDE_PX: Final = 224
MIN_FRAMES: Final = 9  # three strides of 2 leave ⌈T / 8⌉ steps, and the last pooling takes two
CLASSES: Final = 400
FEATURES: Final = 1024

# Channels that enter a block, and those of its branches: 1x1; 1x1 then 3x3; 1x1 then 3x3; pooling then 1x1.
BLOCKS: Final[Mapping[str, tuple[int, int, int, int, int, int, int]]] = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}
POOLS: Final = {"Mixed_3b": ((1, 3, 3), (1, 2, 2)), "Mixed_4b": ((3, 3, 3), (2, 2, 2)), "Mixed_5b": ((2, 2, 2),) * 2}
Size = tuple[int, int, int]


class I3dLook(NamedTuple):
    """What the net says of clips: the pooled layer and the logits, both as means over time."""

    features_BD: Float32[np.ndarray, "B 1024"]
    logits_BK: Float32[np.ndarray, "B 400"]


class Unit(nn.Module):
    """A convolution padded as TensorFlow's SAME, with batch norm and ReLU; the last of the net has a bias instead."""

    def __init__(
        self, before: int, channels: int, kernel: Size = (1, 1, 1), *, stride: Size = (1, 1, 1), eps: float | None
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(before, channels, kernel, stride=stride, bias=eps is None)
        self.bn = nn.BatchNorm3d(channels, eps=eps) if eps is not None else None
        self._kernel, self._stride = kernel, stride

    def forward(self, x_BCTHW: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B c t h w"]:
        convolved: Tensor = self.conv3d(same_padded(x_BCTHW, self._kernel, self._stride))
        return convolved if self.bn is None else functional.relu(self.bn(convolved))


class Block(nn.Module):
    """Four branches over the same input, side by side."""

    def __init__(self, sizes: tuple[int, int, int, int, int, int, int], *, eps: float) -> None:
        super().__init__()
        before, one, to_three, three, to_other, other, pooled = sizes
        unit = partial(Unit, eps=eps)
        self.b0 = unit(before, one)
        self.b1a, self.b1b = unit(before, to_three), unit(to_three, three, (3, 3, 3))
        self.b2a, self.b2b = unit(before, to_other), unit(to_other, other, (3, 3, 3))
        self.b3b = unit(before, pooled)

    def forward(self, x_BCTHW: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B c T H W"]:
        pooled = max_pooled(x_BCTHW, (3, 3, 3), (1, 1, 1))
        branches = (self.b0(x_BCTHW), self.b1b(self.b1a(x_BCTHW)), self.b2b(self.b2a(x_BCTHW)), self.b3b(pooled))
        return torch.cat(branches, dim=1)


class I3dNet(nn.Module):
    """Clips in [-1, 1] → (features, logits), means over time."""

    def __init__(self, *, batch_norm_eps: float) -> None:
        super().__init__()
        unit = partial(Unit, eps=batch_norm_eps)
        self.Conv3d_1a_7x7 = unit(3, 64, (7, 7, 7), stride=(2, 2, 2))
        self.Conv3d_2b_1x1 = unit(64, 64)
        self.Conv3d_2c_3x3 = unit(64, 192, (3, 3, 3))
        for name, sizes in BLOCKS.items():
            self.add_module(name, Block(sizes, eps=batch_norm_eps))
        self.logits = Unit(FEATURES, CLASSES, eps=None)

    def forward(
        self, clips_BCTHW: Float[Tensor, "B 3 T 224 224"]
    ) -> tuple[Float[Tensor, "B 1024"], Float[Tensor, "B 400"]]:
        x = max_pooled(self.Conv3d_1a_7x7(clips_BCTHW), (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        for name in BLOCKS:
            x = self.get_submodule(name)(max_pooled(x, *POOLS[name]) if name in POOLS else x)
        steps_BDT11 = functional.avg_pool3d(x, (2, 7, 7), stride=1)
        logits_BKT11: Tensor = self.logits(steps_BDT11)
        return steps_BDT11.mean(dim=(2, 3, 4)), logits_BKT11.mean(dim=(2, 3, 4))


def max_pooled(x_BCTHW: Float[Tensor, "B C T H W"], kernel: Size, stride: Size) -> Float[Tensor, "B C t h w"]:
    """The largest of each window; zeros beyond the edges count, as in the reference."""
    return functional.max_pool3d(same_padded(x_BCTHW, kernel, stride), kernel, stride)


def same_padded(x_BCTHW: Float[Tensor, "B C T H W"], kernel: Size, stride: Size) -> Float[Tensor, "B C t h w"]:
    """With zeros around it, so that a window for every step of the stride fits; the odd one at the end."""
    ends: list[int] = []
    for size, width, step in reversed(list(zip(x_BCTHW.shape[2:], kernel, stride, strict=True))):
        missing = max(width - (size % step or step), 0)
        ends += [missing // 2, missing - missing // 2]
    return functional.pad(x_BCTHW, ends) if any(ends) else x_BCTHW


@dataclass(frozen=True)
class I3d:
    """Clips → features and logits, one clip at a time: a clip's numbers do not depend on the clips beside it."""

    network: I3dNet

    def look(self, clips_BCTHW: Float[Tensor, "B C T H W"]) -> I3dLook:
        """What the net says of clips of a front end. Raises ConfigError for another size, or too few frames."""
        require_clips(clips_BCTHW)
        with torch.no_grad():
            looks = [self.network(on_device_of(self.network, clip)) for clip in torch.split(clips_BCTHW, 1)]
        features, logits = (torch.cat(rows).cpu().numpy() for rows in zip(*looks, strict=True))
        return I3dLook(features, logits)


def require_clips(clips_BCTHW: Tensor) -> None:
    """Clips that the net can look at. Raises ConfigError."""
    channels, frames, *sides = clips_BCTHW.shape[1:]
    wrong = None
    if (channels, *sides) != (3, SIDE_PX, SIDE_PX) or not clips_BCTHW.is_floating_point():
        wrong = f"{str(clips_BCTHW.dtype).removeprefix('torch.')} of shape {list(clips_BCTHW.shape)}"
    elif len(clips_BCTHW) == 0:
        wrong = "no clip"
    elif frames < MIN_FRAMES:
        wrong = f"{frames} frames"
    elif not torch.isfinite(clips_BCTHW).all():
        wrong = "NaN or infinity"
    if wrong is not None:
        raise ConfigError(
            "I3D: clips",
            expected=f"finite floats [B, 3, T, {SIDE_PX}, {SIDE_PX}] of at least {MIN_FRAMES} frames",
            found=wrong,
            fix="Make them with a front end of the protocol; leave out clips that have too few frames.",
        )


def load_i3d(config: I3dConfig) -> I3d:
    """The net of a config. Raises ConfigError where its weights are not there, or not these."""
    return I3d(filled(*_fitting(config, read=read_tensors), device=config.device))


def require_network(config: I3dConfig) -> None:
    """The weights of a config have its names and shapes. Raises ConfigError; reads no numbers."""
    _fitting(config, read=read_forms)


def _fitting(config: I3dConfig, *, read: Callable[..., dict[str, Tensor]]) -> tuple[I3dNet, dict[str, Tensor]]:
    path = file_named(find_weights(config.weights), FILE)
    network, state = empty(partial(I3dNet, batch_norm_eps=config.batch_norm_eps)), read(path)
    require_state(network, state, item=str(path))
    return network, state
