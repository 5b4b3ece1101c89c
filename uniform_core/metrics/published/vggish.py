"""VGGish: 128 numbers for each 0.96 s of sound, which FAD stands on.

Axes: N samples, E examples, T frames, F mel bands, D features.
Source: torchvggish f3f9096 (its parameter names); its weights are Google's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from uniform_core.metrics.published.configs import VggishConfig, VggishLayer
from uniform_core.metrics.published.loading import empty, file_named, filled, on_device_of, require_state
from uniform_core.metrics.published.vggish_front import log_mel_examples
from uniform_core.weights import find_weights
from uniform_core.weights.reading import read_forms, read_tensors

FILE: Final = "vggish-10086976.pth"
PCA_FILE: Final = "vggish_pca_params-970ea276.pth"
DIM: Final = 128
CHUNK: Final = 16  # examples at a time: bounds memory
CHANNELS: Final = ((64,), (128,), (256, 256), (512, 512))  # of the convolutions before each pooling
QUANTIZED: Final = (-2.0, 2.0)  # the range that becomes 0 to 255


class VggishNet(nn.Module):
    """Log-mel examples → embeddings, behind the last ReLU."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for group in CHANNELS:
            for channels in group:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        sizes = (512 * 6 * 4, 4096, 4096, DIM)
        dense = ([nn.Linear(*pair), nn.ReLU()] for pair in pairwise(sizes))
        self.embeddings = nn.Sequential(*(layer for layers in dense for layer in layers))

    def linear(self, examples_ETF: Float[Tensor, "E 96 64"]) -> Float[Tensor, "E 128"]:
        """The last linear layer, before its ReLU. Channels are laid out last, as TensorFlow has them."""
        maps_ECTF = self.features(examples_ETF.unsqueeze(1))
        embedded_ED: Tensor = self.embeddings[:-1](maps_ECTF.permute(0, 2, 3, 1).flatten(1))
        return embedded_ED

    def forward(self, examples_ETF: Float[Tensor, "E 96 64"]) -> Float[Tensor, "E 128"]:
        return torch.relu(self.linear(examples_ETF))


class Whitening(nn.Module):
    """AudioSet's PCA of embeddings, cut to 8 bits: whole numbers from 0 to 255."""

    def __init__(self) -> None:
        super().__init__()
        self.pca_eigen_vectors = nn.Parameter(torch.empty(DIM, DIM))
        self.pca_means = nn.Parameter(torch.empty(DIM, 1))

    def forward(self, embedded_ED: Float[Tensor, "E 128"]) -> Float[Tensor, "E 128"]:
        low, high = QUANTIZED
        whitened_ED = (self.pca_eigen_vectors @ (embedded_ED.T - self.pca_means)).T
        return torch.round((whitened_ED.clamp(low, high) - low) * (255.0 / (high - low)))


@dataclass(frozen=True)
class Vggish:
    """A waveform at 16 kHz → the embeddings of its examples. `whitening` is that of the layer pca, and of no other."""

    network: VggishNet
    layer: VggishLayer = "linear"
    whitening: Whitening | None = None

    def embed(self, waveform_N: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "e 128"]:
        """One row for each 0.96 s; the rest is dropped. Raises ConfigError for less than one example."""
        return self.embed_examples(log_mel_examples(waveform_N))

    def embed_examples(self, examples_ETF: Float[np.ndarray, "e 96 64"]) -> Float32[np.ndarray, "e 128"]:
        """One row for each log-mel example."""
        examples = on_device_of(self.network, torch.from_numpy(examples_ETF))
        with torch.no_grad():
            rows = [self._layer_of(part) for part in torch.split(examples, CHUNK)]
        return torch.cat(rows).cpu().numpy()

    def _layer_of(self, examples_ETF: Tensor) -> Tensor:
        """PCA goes on from the ReLU, as AudioSet's own embeddings were made."""
        if self.layer == "linear":
            return self.network.linear(examples_ETF)
        embedded_ED: Tensor = self.network(examples_ETF)
        if self.whitening is None:
            return embedded_ED
        whitened_ED: Tensor = self.whitening(embedded_ED)
        return whitened_ED


def load_vggish(config: VggishConfig) -> Vggish:
    """The net of a config. Raises ConfigError where its weights are not there, or not these."""
    network, state = _fitting(config, read=read_tensors)
    whitening = load_whitening(config) if config.layer == "pca" else None
    return Vggish(filled(network, state, device=config.device), config.layer, whitening)


def load_whitening(config: VggishConfig) -> Whitening:
    """The PCA of a config. Raises ConfigError where its weights are not there, or not these."""
    return filled(*_fitting_pca(config, read=read_tensors), device=config.device)


def require_network(config: VggishConfig) -> None:
    """The weights of a config have its names and shapes. Raises ConfigError; reads no numbers."""
    _fitting(config, read=read_forms)
    if config.layer == "pca":
        _fitting_pca(config, read=read_forms)


def _fitting(config: VggishConfig, *, read: Callable[..., dict[str, Tensor]]) -> tuple[VggishNet, dict[str, Tensor]]:
    path = file_named(find_weights(config.weights), FILE)
    network, state = empty(VggishNet), read(path)
    require_state(network, state, item=str(path))
    return network, state


def _fitting_pca(
    config: VggishConfig, *, read: Callable[..., dict[str, Tensor]]
) -> tuple[Whitening, dict[str, Tensor]]:
    """The published file has NumPy's arrays, and means without a second axis; a whole VGGish names them `pproc.`."""
    path = file_named(find_weights(config.pca_weights), PCA_FILE)
    named = {name.removeprefix("pproc."): tensor for name, tensor in read(path, has_arrays=True).items()}
    state = {name: tensor.unsqueeze(1) if tensor.shape == (DIM,) else tensor for name, tensor in named.items()}
    whitening = empty(Whitening)
    require_state(whitening, state, item=str(path))
    return whitening, state
