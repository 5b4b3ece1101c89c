"""AudioLDM's parts in miniature, as the tests of their files take them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_audioldm_vae import SPEC, tiny_audioldm_vae
from tiny_hifigan import tiny_hifigan
from torch import Tensor

from uniform_core.codecs import AudioLdmVaeConfig, HifiGanConfig
from uniform_core.codecs.mel import log_mel
from uniform_core.errors import ConfigError
from uniform_core.seeds import torch_generator

VAE, VOCODER = "vae/diffusion_pytorch_model.safetensors", "vocoder/model.safetensors"
ABSENT = "none at all"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A published folder in miniature."""
    return audioldm_folder(tmp_path / "audioldm")


def audioldm_folder(folder: Path) -> Path:
    """A folder as that of a published AudioLDM: `vae/` and `vocoder/`."""
    tiny_audioldm_vae(folder)
    tiny_hifigan(folder)
    return folder


def error_of(config: AudioLdmVaeConfig | HifiGanConfig) -> str:
    """What building says that must not build."""
    with pytest.raises(ConfigError) as error:
        config.build(SPEC)
    return str(error.value)


def mels() -> Tensor:
    return log_mel(torch.randn(2, SPEC.samples, generator=torch_generator("test.sound")) * 0.1, SPEC)


def vae_at(place: Path, tmp_path: Path, **change: Any) -> AudioLdmVaeConfig:
    """The config of the miniature VAE whose weights are at `place`."""
    return tiny_audioldm_vae(tmp_path / "sizes").model_copy(update={"weights": str(place), **change})


def vocoder_at(place: Path, tmp_path: Path, **change: Any) -> HifiGanConfig:
    """The config of the miniature vocoder whose weights are at `place`."""
    return tiny_hifigan(tmp_path / "sizes").model_copy(update={"weights": str(place), **change})


def edit_json(path: Path, **change: Any) -> None:
    """Other values in a file; ABSENT takes one out."""
    values = json.loads(path.read_text()) | change
    path.write_text(json.dumps({key: value for key, value in values.items() if value != ABSENT}))
