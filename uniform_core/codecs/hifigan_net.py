"""HiFi-GAN: transformers' network, and its weights in both forms in which they are published.

Axes: B batch, T frames, F mel bins, N samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from uniform_core.codecs.base import Vocoder
from uniform_core.codecs.hifigan import HifiGanConfig
from uniform_core.codecs.loading import in_chunks, part_files, require_config
from uniform_core.weights import find_weights
from uniform_core.weights.filling import fill
from uniform_core.weights.reading import check_finite, read_forms, read_tensors, require_names

FOLDER: Final = "vocoder"
FILES: Final = ("model.safetensors", "pytorch_model.bin")
WITHIN: Final = ("first_stage_model.vocoder.", "vocoder.")  # before its names in a checkpoint of AudioLDM, of its VAE
COMPILED: Final = "_orig_mod."  # what torch.compile puts into names
GAIN, DIRECTION = ".weight_g", ".weight_v"  # of weight norm
LEAKY_SLOPE: Final = 0.1


class HifiGanVocoder(Vocoder):
    """Log-mel → waveform; deterministic, in tanh's range."""

    def __init__(self, network: SpeechT5HifiGan, *, hop: int, batch: int) -> None:
        self._network, self._hop, self._batch = network, hop, batch

    def synthesise(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B N"]:
        return in_chunks(mel_BTF, self._batch, made=self._sound_of)

    def _sound_of(self, mel_BTF: Tensor) -> Tensor:
        """The first kernel of 16 at a stride of 5 leaves a little at the end (32 samples of AudioLDM's), cut here."""
        waveform_BN: Tensor = self._network(mel_BTF.to(self._network.device, self._network.dtype))
        return waveform_BN[:, : mel_BTF.shape[1] * self._hop]


def load_vocoder(config: HifiGanConfig) -> HifiGanVocoder:
    """The vocoder of a config. Raises ConfigError where its weights are not there, or not these."""
    network, state, item = _fitting(config, read=read_tensors)
    check_finite(state, item=item)  # again: a direction of zeros has no length to divide by
    fill(network, state, device=config.device, dtype="float32")
    return HifiGanVocoder(network, hop=math.prod(config.upsample_rates), batch=config.batch)


def require_network(config: HifiGanConfig) -> None:
    """The weights of a config have its names and shapes. Raises ConfigError; reads no numbers."""
    _fitting(config, read=read_forms)


def _fitting(
    config: HifiGanConfig, *, read: Callable[..., dict[str, Tensor]]
) -> tuple[SpeechT5HifiGan, dict[str, Tensor], str]:
    """The network without weights, weights that fit it, and their file. Raises ConfigError."""
    files = part_files(find_weights(config.weights), folder=FOLDER, names=FILES)
    if files.config is not None:
        require_config(files.config, _arguments(config))
    named = read(files.weights, key=config.part if files.is_checkpoint else None)
    state = present_state(named, n_mels=config.n_mels)
    network = build_network(config, device="meta")
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    require_names(state, expected, item=str(files.weights))
    return network, state, str(files.weights)


def build_network(config: HifiGanConfig, *, device: str) -> SpeechT5HifiGan:
    """The network; on the device "meta" it has names and shapes and no weights."""
    with torch.device(device):
        return SpeechT5HifiGan(SpeechT5HifiGanConfig(**_arguments(config)))


def present_state(named: Mapping[str, Tensor], *, n_mels: int) -> dict[str, Tensor]:
    """Tensors by transformers' names, weight norm folded; from an original checkpoint or from transformers' own file.

    Of a checkpoint that holds more, the vocoder alone. The original has no `mean` and `scale`, which then do nothing.
    """
    prefix = next((prefix for prefix in WITHIN if any(name.startswith(prefix) for name in named)), "")
    own = {name.removeprefix(prefix): tensor for name, tensor in named.items() if name.startswith(prefix)}
    plain = folded({name.replace(COMPILED, ""): tensor for name, tensor in own.items()})
    state = {f"upsampler.{name[4:]}" if name.startswith("ups.") else name: tensor for name, tensor in plain.items()}
    return {"mean": torch.zeros(n_mels), "scale": torch.ones(n_mels)} | state


def folded(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Plain weights: g x v / ‖v‖ for each pair, the norm over all axes but the first, whatever the first stands for."""
    layers = [name.removesuffix(GAIN) for name in named if name.endswith(GAIN)]
    pairs = [layer for layer in layers if layer + DIRECTION in named]
    taken = {layer + part for layer in pairs for part in (GAIN, DIRECTION)}
    plain = {name: tensor for name, tensor in named.items() if name not in taken}
    for layer in pairs:
        v = named[layer + DIRECTION]
        length = v.flatten(1).norm(dim=1).reshape(-1, *[1] * (v.ndim - 1))
        plain[f"{layer}.weight"] = named[layer + GAIN] * v / length
    return plain


def _arguments(config: HifiGanConfig) -> dict[str, Any]:
    """What transformers' class is told; its `config.json` must say the same."""
    return {
        "model_in_dim": config.n_mels,
        "sampling_rate": config.audio_rate_hz,
        "upsample_rates": list(config.upsample_rates),
        "upsample_kernel_sizes": list(config.upsample_kernels),
        "upsample_initial_channel": config.initial_channels,
        "resblock_kernel_sizes": list(config.resblock_kernels),
        "resblock_dilation_sizes": [list(dilations) for dilations in config.resblock_dilations],
        "leaky_relu_slope": LEAKY_SLOPE,
        "normalize_before": False,  # AudioLDM's mels come as they are
    }
