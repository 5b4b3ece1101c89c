"""Worn and broken clips for training the class nets, so that features tell a bad clip from a compressed one.

Worn (blur, grain, blocks, level) keeps its class: a codec's traces should not look like another world. Broken (noise of
the same spectrum, patches or moments out of place) is a class of its own: what no camera or microphone gave.
Axes: B clips, T time, H height, W width, F mel bins.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional


def worn_video(rng: np.random.Generator, clips: UInt8[Tensor, "B T H W 3"]) -> UInt8[Tensor, "B T H W 3"]:
    """Clips as a block codec leaves them: fine detail of each block lost, more of colour than of light, and grain."""
    video_BCTHW = clips.permute(0, 4, 1, 2, 3).float()
    light_B1THW = video_BCTHW.mean(dim=1, keepdim=True)
    block = (int(rng.choice([2, 4])), *[int(rng.choice([4, 8]))] * 2)
    keep = tuple(int(rng.integers(1, size // 2 + 2)) for size in block)
    fewer = tuple(max(1, count // 2) for count in keep)
    worn_BCTHW = _low_passed(light_B1THW, block, keep) + _low_passed(video_BCTHW - light_B1THW, block, fewer)
    return _pixels(worn_BCTHW + float(rng.uniform(0.0, 8.0)) * _noise(rng, worn_BCTHW))


def broken_video(rng: np.random.Generator, clips: UInt8[Tensor, "B T H W 3"]) -> UInt8[Tensor, "B T H W 3"]:
    """Clips that are clips no more, each in one of four ways, in turn."""
    video_BCTHW = clips.permute(0, 4, 1, 2, 3).float()
    ways = (_as_noise, _patches_of_strangers, _frames_out_of_order, _washed_out)
    return _pixels(torch.cat([way(rng, part) for way, part in zip(ways, video_BCTHW.chunk(len(ways)), strict=False)]))


def worn_mel(rng: np.random.Generator, mels: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
    """Log-mels with fine detail of blocks lost, and grain."""
    block = (int(rng.choice([4, 8])), 1, int(rng.choice([8, 16])))
    keep = tuple(int(rng.integers(-(-size // 4), size + 1)) for size in block)
    worn_BTF = _low_passed(mels[:, None, :, None, :], block, keep)[:, 0, :, 0, :]
    return worn_BTF + float(rng.uniform(0.0, 0.5)) * _noise(rng, worn_BTF)


def broken_mel(rng: np.random.Generator, mels: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
    """Log-mels of nothing, each in one of four ways, in turn."""
    mel_BCTHW = mels[:, None, :, None, :]
    ways = (_as_noise, _patches_of_strangers, _frames_out_of_order, _washed_out)
    parts = [way(rng, part) for way, part in zip(ways, mel_BCTHW.chunk(len(ways)), strict=False)]
    return torch.cat(parts)[:, 0, :, 0, :]


def _as_noise(rng: np.random.Generator, x: Tensor) -> Tensor:
    """Noise of one random grain, with each clip's own mean and spread."""
    axes = (2, 3, 4)
    block = tuple(min(int(rng.choice([1, 2, 4, 8])), size) for size in x.shape[2:])
    noise = _blocked(_noise(rng, x), block)
    noise = noise / noise.std(dim=axes, keepdim=True).clamp(min=1e-6)
    return x.mean(dim=axes, keepdim=True) + x.std(dim=axes, keepdim=True) * noise


def _patches_of_strangers(rng: np.random.Generator, x: Tensor) -> Tensor:
    """Each patch of time and space from a clip drawn at random, moved to a place drawn at random."""
    pieces = x.clone()
    cuts = [np.array_split(np.arange(size), min(4, size)) for size in x.shape[2:]]
    for time in cuts[0]:
        for row in cuts[1]:
            for column in cuts[2]:
                at = [int(rng.integers(size)) for size in x.shape[2:]]
                order = torch.from_numpy(rng.permutation(len(x)))
                where = (slice(None), slice(None), _span(time), _span(row), _span(column))
                pieces[where] = _moved(x[order], at, (time, row, column))
    return pieces


def _moved(x: Tensor, by: list[int], patch: tuple[np.ndarray, ...]) -> Tensor:
    """What lies in a patch of T, H and W after `x` has been rolled by so much along each."""
    for axis, (indices, shift) in enumerate(zip(patch, by, strict=True), start=2):
        x = x.index_select(axis, torch.from_numpy((indices - shift) % x.shape[axis]))
    return x


def _frames_out_of_order(rng: np.random.Generator, x: Tensor) -> Tensor:
    """The same moments, shuffled."""
    return x[:, :, torch.from_numpy(rng.permutation(x.shape[2]))]


def _washed_out(rng: np.random.Generator, x: Tensor) -> Tensor:
    """Blocks so coarse that nothing is left but light and shade, or a still."""
    if rng.random() < 0.5:
        index = int(rng.integers(x.shape[2]))
        return x[:, :, index : index + 1].expand_as(x)
    return _blocked(x, tuple(max(1, size // 2) for size in x.shape[2:]))


def _blocked(x: Tensor, block: tuple[int, ...]) -> Tensor:
    """`x` with each block of [T, H, W] replaced by its mean; the grid need not divide."""
    fits = tuple(min(part, size) for part, size in zip(block, x.shape[2:], strict=True))
    small = functional.avg_pool3d(x, fits, ceil_mode=True, count_include_pad=False)
    return functional.interpolate(small, size=x.shape[2:], mode="nearest")


def _low_passed(x: Tensor, block: tuple[int, ...], keep: tuple[int, ...]) -> Tensor:
    """`x` with the `keep` lowest cosines of each block along T, H and W; an axis that blocks do not divide is left."""
    for axis, size, count in zip((2, 3, 4), block, keep, strict=True):
        if x.shape[axis] % size == 0 and count < size:
            across = x.transpose(axis, -1)
            split = across.reshape(*across.shape[:-1], -1, size) @ _projection(size, count)
            x = split.flatten(-2).transpose(axis, -1)
    return x


def _projection(size: int, keep: int) -> Tensor:
    """The projection of `size` samples onto their `keep` lowest cosines."""
    cosines = torch.from_numpy(scipy.fft.dct(np.eye(size), norm="ortho", axis=0)[:keep]).float()
    return cosines.T @ cosines


def _noise(rng: np.random.Generator, like: Tensor) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(like.shape), dtype=np.float32))


def _span(indices: np.ndarray) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _pixels(video_BCTHW: Tensor) -> Tensor:
    return video_BCTHW.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous()
