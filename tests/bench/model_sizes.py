"""Sizes at which the model is measured, and inputs of them. The values are noise: nothing here depends on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from uniform_core.model import JointLatent, ModelConfig, TextBatch
from uniform_core.presets import tiny
from uniform_core.seeds import torch_generator
from uniform_core.spec import LatentLayout
from uniform_core.training.samples import Batch
from uniform_core.types import Task

RATE_HZ = 17.0


@dataclass(frozen=True)
class Size:
    """A model, its latents, and how many clips at once. `text_lengths` of real tokens are taken in turn."""

    model: ModelConfig
    layout: LatentLayout
    batch: int  # clips of an optimizer step
    micro_batch: int  # at once, kept whole for backward
    plain_micro_batch: int  # the same of the plain form, which keeps little and may take more
    samples: int  # clips that are made at once
    text_lengths: tuple[int, ...]
    precision: str = "float32"
    steps: int = 30  # of sampling

    @property
    def text_tokens(self) -> float:
        """The mean length of a text: what useful FLOPs are counted for."""
        return sum(self.text_lengths) / len(self.text_lengths)

    def texts(self, clips: int, *, seed: int = 0) -> TextBatch:
        """Texts of as many clips, padded to the longest of them, as batches of a training are."""
        lengths_B = torch.tensor([self.text_lengths[clip % len(self.text_lengths)] for clip in range(clips)])
        longest = int(lengths_B.max())
        generator = torch_generator("bench.text", seed)
        features_BLD = torch.randn(clips, longest, self.model.text_width, generator=generator)
        return TextBatch(features_BLD, torch.arange(longest)[None] < lengths_B[:, None])

    def null_text(self) -> TextBatch:
        """The null text: one token."""
        return TextBatch(torch.zeros(1, 1, self.model.text_width), torch.ones(1, 1, dtype=torch.bool))

    def batch_at(self, step: int, *, padded_to: int = 0) -> Batch:
        """The batch of an optimizer step, of T2AV, where both modalities are made."""
        generator = torch_generator("bench.latents", step)
        raw = JointLatent(
            torch.randn(self.batch, *self.layout.video_CTHW, generator=generator),
            torch.randn(self.batch, *self.layout.audio_CTF, generator=generator),
        )
        text = self.texts(self.batch, seed=step).padded(padded_to)
        clips = tuple(range(self.batch))
        return Batch(step, Task.T2AV, clips, tuple(f"clip {clip}" for clip in clips), raw, text, (True,) * len(clips))


def xl2() -> Size:
    """The paper's size: needs a GPU of 80 GB. Captions are mostly far shorter than what they are padded to."""
    return Size(
        model=ModelConfig(hidden=1152, depth=28, heads=16, text_width=4096, max_text_tokens=300),
        layout=LatentLayout((4, 20, 32, 32), (8, 100, 16), 1),
        batch=32,
        micro_batch=2,
        plain_micro_batch=8,
        samples=8,
        text_lengths=(24, 40, 56, 33, 120, 18, 45, 60),
        precision="bfloat16",
    )


def cpu() -> Size:
    """XL/2's shape on a core: frames of fewer tokens, its width of heads and number of frames."""
    return Size(
        model=ModelConfig(hidden=288, depth=2, heads=4, text_width=256, max_text_tokens=300),
        layout=LatentLayout((4, 20, 8, 8), (8, 100, 4), 1),
        batch=4,
        micro_batch=4,
        plain_micro_batch=4,
        samples=1,
        text_lengths=(24, 40, 56, 33),
    )


def tiny_size() -> Size:
    """The tiny preset's model and latents."""
    config = tiny()
    return Size(
        model=config.model,
        layout=config.layout,
        batch=16,
        micro_batch=16,
        plain_micro_batch=16,
        samples=24,
        text_lengths=(8, 10, 6, 9),
    )


def nano() -> Size:
    """Small enough for a test."""
    return Size(
        model=ModelConfig(hidden=32, depth=1, heads=2, text_width=8, max_text_tokens=12),
        layout=LatentLayout((4, 4, 4, 4), (8, 8, 2), 2),
        batch=2,
        micro_batch=1,
        plain_micro_batch=2,
        samples=2,
        text_lengths=(3, 5),
        steps=2,
    )


SIZES: dict[str, Callable[[], Size]] = {"nano": nano, "tiny": tiny_size, "cpu": cpu, "xl2": xl2}
