"""A generator small enough for tests: a model with random weights behind codecs of 16 pixels; requests for it."""

from __future__ import annotations

import numpy as np
import torch

from uniform_core.codecs import DctMelConfig, DctVideoConfig, GriffinLimConfig
from uniform_core.diffusion import EulerConfig, GuidanceConfig, RectifiedFlowConfig
from uniform_core.diffusion.base import ObjectiveConfig
from uniform_core.generation.config import SampleConfig
from uniform_core.generation.decode import MediaCodecs
from uniform_core.generation.generator import Generator
from uniform_core.generation.requests import GenerationRequest, Given
from uniform_core.model import ModelConfig, UniForm
from uniform_core.seeds import numpy_rng, torch_generator
from uniform_core.spec import AVSpec, LatentLayout
from uniform_core.text import HashingTextConfig
from uniform_core.training.config import ScalingConfig
from uniform_core.training.export import Exported, ModelCard
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.types import Modality, Task

SPEC = AVSpec(
    duration_s=1.0,
    video_rate_hz=4,
    height_px=16,
    width_px=16,
    canonical_short_side_px=16,
    audio_rate_hz=16_000,
    hop=1000,
)
VIDEO, AUDIO = DctVideoConfig(block_THW=(2, 4, 4), keep=8), DctMelConfig(block_TF=(4, 32), keep=16)
TEXT = HashingTextConfig(dimensions=8, token_limit=6)
LAYOUT = LatentLayout(VIDEO.latent_shape_CTHW(SPEC), AUDIO.latent_shape_CTF(SPEC), task_columns=2)
CODECS = MediaCodecs(
    SPEC, video=VIDEO.build(SPEC), audio=AUDIO.build(SPEC), vocoder=GriffinLimConfig(iterations=2).build(SPEC)
)


def make_exported(objective: ObjectiveConfig | None = None, **change: object) -> Exported:
    """A model with random weights everywhere, so that text, time and the given modality all matter."""
    shape = {"hidden": 16, "depth": 1, "heads": 2, "text_width": 8, "max_text_tokens": 6}
    config = ModelConfig.model_validate(shape | change)
    model = UniForm(config, LAYOUT, seed=3)
    generator = torch_generator("test.generation")
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    video = torch.randn(20, *LAYOUT.video_CTHW, generator=generator) * 2 + 0.5
    audio = torch.randn(20, *LAYOUT.audio_CTF, generator=generator) * 3 + 10
    scale = fit_latent_scale(ScalingConfig(), [(video, audio)])
    card = ModelCard(config, LAYOUT, objective or RectifiedFlowConfig(), scale, 4.0, "f" * 32, 5, {})
    return Exported(model.eval().requires_grad_(False), card, "0" * 64)


def make_generator(*, batch: int = 16, exported: Exported | None = None, **change: object) -> Generator:
    config = SampleConfig.model_validate(
        {
            "sampler": EulerConfig(steps=4, clamp_x0_sigma=3.0),
            "guidance": GuidanceConfig(text_scale=2.0),
            "batch": batch,
        }
        | change
    )
    return Generator(exported or make_exported(), config, codecs=CODECS, text_encoder=TEXT.build())


def given_for(task: Task, number: int) -> Given | None:
    rng = numpy_rng("test.given", number)
    if task.given is Modality.VIDEO:
        return CODECS.give_video(rng.integers(0, 256, (SPEC.frames, 16, 16, 3), dtype=np.uint8))
    if task.given is Modality.AUDIO:
        return CODECS.give_audio((0.1 * rng.standard_normal(SPEC.samples)).astype(np.float32))
    return None


def make_requests(count: int = 7) -> list[GenerationRequest]:
    """All tasks in turn; some without text, and texts of different lengths."""
    captions = ["a red ball", None, "rain on a tin roof", ""]
    return [
        GenerationRequest(f"r{n}", task, n, caption=captions[n % 4], given=given_for(task, n))
        for n in range(count)
        for task in [list(Task)[n % 3]]
    ]
