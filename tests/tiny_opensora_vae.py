"""A miniature of Open-Sora's VAE: the real classes, saved under the real names in the real format."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from uniform_core.codecs import OpenSoraVaeConfig
from uniform_core.codecs.opensora_vae_net import OpenSoraVae

SHIFT, SCALE = (-0.10, 0.34, 0.27, 0.98), (3.85, 2.32, 2.33, 3.06)  # those of the real weights


EXAMPLE = OpenSoraVaeConfig.example()


def tiny_network(config: OpenSoraVaeConfig = EXAMPLE) -> OpenSoraVae:
    """The network of a miniature, with drawn weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = OpenSoraVae(config.spatial, config.temporal)
    network.shift.copy_(torch.tensor(SHIFT).view(1, 4, 1, 1, 1))
    network.scale.copy_(torch.tensor(SCALE).view(1, 4, 1, 1, 1))
    return network.eval()


def tiny_opensora_vae(folder: Path, config: OpenSoraVaeConfig = EXAMPLE) -> OpenSoraVaeConfig:
    """The config of a miniature whose weights lie in a folder, as they would be pulled."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tiny_network(config).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "VideoAutoencoderPipeline"}))
    return config.model_copy(update={"weights": str(folder), "device": "cpu"})
