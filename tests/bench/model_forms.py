"""A train step and a generation in two forms: as UniForm runs them, and plainly, as STDiT3's public code does.

Plain: texts padded to the longest that there can be, every block recomputed in backward, nothing compiled, two forward
passes a guided step with keys and values made anew in each, and torch's own functions where ours have CPU forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from model_sizes import RATE_HZ, Size

from uniform_core.diffusion import AncestralConfig, GuidanceConfig, IddpmConfig, sample, sample_joint
from uniform_core.diffusion.base import Tensors, noise_of_each
from uniform_core.diffusion.guidance import extrapolated, made_shapes
from uniform_core.model import TextBatch, UniForm, drop_text, kernels
from uniform_core.model.config import BlockForm
from uniform_core.seeds import torch_generator
from uniform_core.training import trainer as training
from uniform_core.training.config import ModalityScaling, ScalingConfig, TrainConfig
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.training.trainer import Trainer
from uniform_core.types import Task

TEXT_SCALE = 5.0  # the paper's
AS_IS = ScalingConfig(video=ModalityScaling(over="identity"), audio=ModalityScaling(over="identity"))
Work = Callable[[], Any]


def train_step(size: Size, device: torch.device, *, compiled: bool) -> Work:
    """One optimizer step after another, as training does them."""
    return _steps(size, device, padded_to=0, micro_batch=size.micro_batch, compile=compiled)


def plain_train_step(size: Size, device: torch.device) -> Work:
    """The same step in the plain form."""
    work = _steps(
        size,
        device,
        padded_to=size.model.max_text_tokens,
        micro_batch=size.plain_micro_batch,
        activation_checkpointing="all",
    )

    def plainly() -> None:
        with plain_functions():
            work()

    return plainly


def _steps(size: Size, device: torch.device, *, padded_to: int, **way: Any) -> Work:
    config = TrainConfig.model_validate(
        {"steps": 1000, "batch": size.batch, "precision": size.precision, "scaling": AS_IS} | way
    )
    first = size.batch_at(0)
    trainer = Trainer(
        config,
        UniForm(size.model, size.layout, device=device),
        IddpmConfig(),
        scale=fit_latent_scale(AS_IS, [(first.raw.video_BCTHW, first.raw.audio_BCTF)]),
        null_text=size.null_text(),
        video_rate_hz=RATE_HZ,
        fingerprint="bench",
    )
    return lambda: trainer.train_step(size.batch_at(trainer.step, padded_to=padded_to))


def generation(size: Size, device: torch.device, *, compiled: bool) -> Work:
    """One guided generation: a batch of both passes a step, keys and values of texts made once."""
    model = _sampling_model(size, device)
    model.block_form = BlockForm(is_compiled=compiled)
    if size.precision == "bfloat16":
        model = model.to(torch.bfloat16)
    text, null = (_moved(one, device) for one in (size.texts(size.samples), size.null_text()))
    return lambda: sample_joint(
        model,
        IddpmConfig().build(),
        task=Task.T2AV,
        given=None,
        text=text,
        null_text=null,
        video_rate_hz=RATE_HZ,
        sampler=AncestralConfig(steps=size.steps),
        guidance=GuidanceConfig(text_scale=TEXT_SCALE),
        generators=_generators(size),
        device=device,
    )


def plain_generation(size: Size, device: torch.device) -> Work:
    """The same clips in the plain form."""
    model, objective, longest = _sampling_model(size, device), IddpmConfig().build(), size.model.max_text_tokens
    text = _moved(size.texts(size.samples).padded(longest), device)
    null = _moved(size.null_text().repeated(size.samples).padded(longest), device)

    def denoise(latents: Tensors, t_B: torch.Tensor) -> Tensors:
        said, without = (model(latents, t_B, model.prepare(Task.T2AV, one, RATE_HZ)) for one in (text, null))
        return {m: extrapolated(said[m], without[m], scale=TEXT_SCALE) for m in Task.T2AV.made}

    def work() -> None:
        noise = noise_of_each(_generators(size))
        shapes = made_shapes(size.layout, size.samples)
        start = {m: noise(torch.empty(shapes[m], device=device)) for m in Task.T2AV.made}
        sampler = AncestralConfig(steps=size.steps)
        with torch.no_grad(), plain_functions(), _autocast(size, device):
            sample(objective, denoise, sampler, start=start, given={}, noise=noise)

    return work


@contextmanager
def plain_functions() -> Iterator[None]:
    """Inside, blocks use torch's own functions everywhere, and training keeps the padding of its texts."""

    def padded(text: TextBatch, null: TextBatch, *, keep_B: torch.Tensor, device: torch.device) -> TextBatch:
        return _moved(drop_text(text, null, keep_B=keep_B), device)

    with patch.object(kernels, "is_eager_cpu", lambda _x: False), patch.object(training, "heard_text", padded):
        yield


def _sampling_model(size: Size, device: torch.device) -> UniForm:
    return UniForm(size.model, size.layout, device=device).eval().requires_grad_(False)


def _autocast(size: Size, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=size.precision == "bfloat16")


def _generators(size: Size) -> list[torch.Generator]:
    return [torch_generator("bench.sample", clip) for clip in range(size.samples)]


def _moved(text: TextBatch, device: torch.device) -> TextBatch:
    return TextBatch(text.features_BLD.to(device), text.mask_BL.to(device))
