"""A training small enough for tests: latents in memory, a model of a few thousand weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from uniform_core.diffusion import RectifiedFlowConfig
from uniform_core.diffusion.base import ObjectiveConfig
from uniform_core.model import ModelConfig, TextBatch, UniForm
from uniform_core.seeds import numpy_rng
from uniform_core.spec import LatentLayout
from uniform_core.training.config import TrainConfig
from uniform_core.training.index import Sample, TrainIndex, index_row
from uniform_core.training.samples import BatchSource
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.training.tensors import TensorCache
from uniform_core.training.trainer import Trainer
from uniform_core.types import TensorRef

LAYOUT = LatentLayout(video_CTHW=(2, 2, 4, 4), audio_CTF=(2, 4, 4), task_columns=2)
MODEL = ModelConfig(hidden=16, depth=1, heads=2, text_width=4, max_text_tokens=5)
NULL_LD = torch.full((1, 4), 0.5)


class MemoryReader:
    """Tensors by the name that stands where a shard's would; counts how often it is asked."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays, self.reads = arrays, 0

    def read(self, ref: TensorRef) -> np.ndarray:
        self.reads += 1
        return self.arrays[ref.shard].copy()


def make_data(clips: int, *, seed: int = 0) -> tuple[TrainIndex, MemoryReader]:
    """`clips` random clips; every third has no text, and texts have different lengths."""
    rng = numpy_rng("test.training", seed)
    arrays: dict[str, np.ndarray] = {}
    samples = []
    for number in range(clips):
        name = f"{number:032x}"
        arrays[f"v{name}"] = (rng.standard_normal(LAYOUT.video_CTHW) * 3 + 1).astype(np.float32)
        arrays[f"a{name}"] = (rng.standard_normal(LAYOUT.audio_CTF) * 20 - 5).astype(np.float32)
        arrays[f"t{name}"] = rng.standard_normal((1 + number % 4, 4)).astype(np.float32)
        refs = {key: TensorRef(key + name, 0, 0, arrays[key + name].shape, "float32", "0" * 64) for key in "vat"}
        samples.append(Sample(name, None, refs["v"], refs["a"], refs["t"] if number % 3 else None))
    return TrainIndex.of_rows([index_row(sample) for sample in samples]), MemoryReader(arrays)


def make_source(config: TrainConfig, *, clips: int = 10, seed: int = 0) -> BatchSource:
    """A source over `make_data`."""
    index, reader = make_data(clips, seed=seed)
    return BatchSource(config, index, TensorCache(reader), null_LD=NULL_LD)


def make_config(**change: Any) -> TrainConfig:
    """Six steps of four clips."""
    values = {"steps": 6, "batch": 4, "lr": 1e-2, "warmup_steps": 2, "precision": "float32", "validation_every": 3,
              "checkpoint_every": 2, "log_every": 1, "validation_clips": 5, "ema_decay": 0.9}  # fmt: skip
    return TrainConfig.model_validate(values | change)


def make_trainer(
    config: TrainConfig,
    *,
    objective: ObjectiveConfig | None = None,
    fingerprint: str = "f",
    model: ModelConfig = MODEL,
) -> Trainer:
    """A fresh trainer, the same every time."""
    source = make_source(config)
    return Trainer(
        config,
        UniForm(model, LAYOUT, seed=config.seed),
        objective or RectifiedFlowConfig(),
        scale=fit_latent_scale(config.scaling, source.raw_latents()),
        null_text=TextBatch(NULL_LD[None], torch.ones(1, 1, dtype=torch.bool)),
        video_rate_hz=8.0,
        fingerprint=fingerprint,
    )
