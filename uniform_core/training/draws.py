"""The randomness of a training step, clip by clip: it depends on the seed and on the clip's place in the run alone.

So the same clip meets the same noise whatever the number of ranks and micro-batches, and a resumed run meets it again.
Axes: B batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from uniform_core.model import JointLatent
from uniform_core.seeds import torch_generator

GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Draws:
    """What chance decides about a batch, on the CPU. `uniform_B` in [0, 1) becomes the time of each clip."""

    uniform_B: Float[Tensor, "B"]
    keep_text_B: Bool[Tensor, "B"]
    noise: JointLatent


def draw_training(
    positions: Sequence[int], *, step: int, seed: int, batch: int, like: JointLatent, text_drop: float
) -> Draws:
    """The draws of the clips at these positions of a run whose global batch has `batch` clips.

    Times of a step are one random offset and equal strides: each is uniform, together they cover [0, 1) evenly, so that
    a small batch's loss does not swing with its times (Kingma et al. 2021, variational diffusion models, §I.1).
    """
    offset = torch.rand((), generator=torch_generator("train.times", seed, step), dtype=torch.float64)
    strides = torch.tensor([position - step * batch for position in positions], dtype=torch.float64) / batch
    return _drawn("train", positions, seed=seed, uniform_B=(offset + strides) % 1, like=like, text_drop=text_drop)


def draw_validation(positions: Sequence[int], *, seed: int, like: JointLatent, text_drop: float) -> Draws:
    """The draws of clips of a validation set: the same every time, text dropped from the same clips.

    Times follow the golden section, which spreads any number of them evenly.
    """
    uniform_B = torch.tensor(positions, dtype=torch.float64) * GOLDEN % 1
    return _drawn("validation", positions, seed=seed, uniform_B=uniform_B, like=like, text_drop=text_drop)


def _drawn(
    use: str, positions: Sequence[int], *, seed: int, uniform_B: Tensor, like: JointLatent, text_drop: float
) -> Draws:
    keeps, videos, audios = [], [], []
    for position in positions:
        generator = torch_generator(use, seed, position)
        keeps.append(torch.rand((), generator=generator) >= text_drop)
        videos.append(torch.randn(like.video_BCTHW.shape[1:], generator=generator))
        audios.append(torch.randn(like.audio_BCTF.shape[1:], generator=generator))
    below_one = uniform_B.to(torch.float32).clamp(max=1 - 2**-24)  # rounding may reach 1
    return Draws(below_one, torch.stack(keeps), JointLatent(torch.stack(videos), torch.stack(audios)))
