"""A small UniForm whose every part has an effect, and inputs for it; shared by the tests of model and diffusion."""

from __future__ import annotations

import torch

from uniform_core.model import JointLatent, ModelConfig, TextBatch, UniForm
from uniform_core.seeds import torch_generator
from uniform_core.spec import LatentLayout

LAYOUT = LatentLayout((4, 3, 4, 4), (8, 6, 2), 2)
CONFIG = ModelConfig.example()
RATE_HZ = 16.0


def lively_model(**changes: object) -> UniForm:
    """A model with random weights everywhere: at its real start its output is zero and much of it is silent."""
    model = UniForm(CONFIG.model_copy(update=changes), LAYOUT).eval()
    generator = torch_generator("lively")
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return model


def random_latent(batch: int, *, seed: int = 0) -> JointLatent:
    generator = torch_generator("latent", seed)
    return JointLatent(
        torch.randn(batch, *LAYOUT.video_CTHW, generator=generator),
        torch.randn(batch, *LAYOUT.audio_CTF, generator=generator),
    )


def random_text(lengths: list[int], *, seed: int = 0) -> TextBatch:
    """Texts of these lengths; what stands behind a text's end is noise, which nobody may read."""
    generator = torch_generator("text", seed)
    features = torch.randn(len(lengths), max(lengths), CONFIG.text_width, generator=generator)
    return TextBatch(features, torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None])


NULL = random_text([1], seed=99)
