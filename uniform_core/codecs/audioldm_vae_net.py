"""AudioLDM's VAE: diffusers' network, and its weights in both forms in which they are published.

Axes: B batch, C channels, T time, F mel bins, t and f their latents. Time comes before frequency in all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor

from uniform_core.codecs.audioldm_vae import AudioLdmVaeConfig
from uniform_core.codecs.base import AudioCodec
from uniform_core.codecs.loading import PartFiles, in_chunks, part_files, require_config
from uniform_core.codecs.mel import LOG_MEL_FLOOR
from uniform_core.errors import ConfigError
from uniform_core.weights import find_weights
from uniform_core.weights.filling import fill
from uniform_core.weights.reading import read_forms, read_tensors, require_names

FOLDER: Final = "vae"
FILES: Final = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
WHOLE: Final = "first_stage_model."  # before its names in a checkpoint of the whole AudioLDM
BESIDE: Final = ("vocoder.", "loss.")  # the vocoder, and the discriminator that the VAE was trained against
RENAMED: Final = (
    (r"\.norm_out\.", ".conv_norm_out."),
    (r"^encoder\.down\.(\d+)\.block\.", r"encoder.down_blocks.\1.resnets."),
    (r"^encoder\.down\.(\d+)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0."),
    (r"^decoder\.up\.(\d+)\.block\.", r"decoder.up_blocks.\1.resnets."),
    (r"^decoder\.up\.(\d+)\.upsample\.", r"decoder.up_blocks.\1.upsamplers.0."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.norm\.", ".mid_block.attentions.0.group_norm."),
    (r"\.mid\.attn_1\.([qkv])\.", r".mid_block.attentions.0.to_\1."),
    (r"\.mid\.attn_1\.proj_out\.", ".mid_block.attentions.0.to_out.0."),
    # Diffusers' own former names.
    (r"\.attentions\.0\.query\.", ".attentions.0.to_q."),
    (r"\.attentions\.0\.key\.", ".attentions.0.to_k."),
    (r"\.attentions\.0\.value\.", ".attentions.0.to_v."),
    (r"\.attentions\.0\.proj_attn\.", ".attentions.0.to_out.0."),
)


class AudioLdmVaeCodec(AudioCodec):
    """Log-mel ⇄ scaled posterior mean."""

    def __init__(self, network: AutoencoderKL, scaling_factor: float, *, batch: int) -> None:
        self.scaling_factor = scaling_factor
        self._network, self._batch = network, batch

    def encode(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B C t f"]:
        return in_chunks(mel_BTF, self._batch, made=self._mean_of) * self.scaling_factor

    def decode(self, latent_BCTF: Float[Tensor, "B C t f"]) -> Float[Tensor, "B T F"]:
        mel_BTF = in_chunks(latent_BCTF / self.scaling_factor, self._batch, made=self._mel_of)
        return mel_BTF.clamp(min=LOG_MEL_FLOOR)

    def posterior(self, mel_BTF: Float[Tensor, "B T F"]) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of q(z | mel), each [B, C, t, f], before scaling."""
        picture_B1TF = mel_BTF.to(self._network.device, self._network.dtype).unsqueeze(1)
        posterior = self._network.encode(picture_B1TF).latent_dist
        return posterior.mean, posterior.logvar

    def _mean_of(self, mel_BTF: Tensor) -> Tensor:
        return self.posterior(mel_BTF)[0]

    def _mel_of(self, latent_BCTF: Tensor) -> Tensor:
        mel_B1TF: Tensor = self._network.decode(latent_BCTF.to(self._network.device, self._network.dtype)).sample
        return mel_B1TF.squeeze(1)


@dataclass(frozen=True)
class VaeWeights:
    """Tensors by diffusers' names, and the scaling factor that came with them."""

    tensors: Mapping[str, Tensor]
    scaling_factor: float | None


def load_codec(config: AudioLdmVaeConfig) -> AudioLdmVaeCodec:
    """The codec of a config. Raises ConfigError where its weights are not there, not these, or without a scale."""
    files = _files_of(config)
    weights = read_weights(files, config)
    network, factor = _fitting(weights, files, config)
    fill(network, weights.tensors, device=config.device, dtype=config.dtype)
    return AudioLdmVaeCodec(network, factor, batch=config.batch)


def scaling_factor_of(config: AudioLdmVaeConfig) -> float:
    """What the codec of a config multiplies means by. Raises what `load_codec` raises, but reads no other number."""
    files = _files_of(config)
    return _fitting(read_weights(files, config, read=read_forms), files, config)[1]


def _files_of(config: AudioLdmVaeConfig) -> PartFiles:
    return part_files(find_weights(config.weights), folder=FOLDER, names=FILES)


def _fitting(weights: VaeWeights, files: PartFiles, config: AudioLdmVaeConfig) -> tuple[AutoencoderKL, float]:
    """The network without weights, which these fit, and the scaling factor. Raises ConfigError."""
    factor = _scaling_factor(weights.scaling_factor, config, files)
    network = build_network(config, device="meta")
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    require_names(weights.tensors, expected, item=str(files.weights))
    return network, factor


def build_network(config: AudioLdmVaeConfig, *, device: str) -> AutoencoderKL:
    """The network; on the device "meta" it has names and shapes and no weights."""
    with torch.device(device):
        return AutoencoderKL(**_arguments(config))


def read_weights(
    files: PartFiles, config: AudioLdmVaeConfig, *, read: Callable[..., dict[str, Tensor]] = read_tensors
) -> VaeWeights:
    """The weights of a diffusers file, of an AudioLDM checkpoint, or of a checkpoint of the VAE alone.

    Raises ConfigError for a file that is damaged, or whose config is of another network.
    """
    values = {} if files.config is None else require_config(files.config, _arguments(config))
    named = read(files.weights, key="state_dict" if files.is_checkpoint else None)
    factor = values.get("scaling_factor")
    if any(name.startswith(WHOLE) for name in named):
        factor = named["scale_factor"].tolist() if "scale_factor" in named else factor
        named = {name.removeprefix(WHOLE): tensor for name, tensor in named.items() if name.startswith(WHOLE)}
    own = {name: tensor for name, tensor in named.items() if not name.startswith(BESIDE)}
    levels = len(config.widths)
    tensors = {present_name(name, levels=levels): _linear(name, tensor) for name, tensor in own.items()}
    return VaeWeights(tensors, None if factor is None else _own_factor(factor, files))


def present_name(name: str, *, levels: int) -> str:
    """Diffusers' name of a tensor of an original checkpoint or an old diffusers file; any other name as it is.

    The original counts the decoder's levels from the picture, diffusers from the latent.

    >>> present_name("decoder.up.2.block.0.nin_shortcut.bias", levels=3)
    'decoder.up_blocks.0.resnets.0.conv_shortcut.bias'
    """
    named = re.sub(r"^decoder\.up\.(\d+)\.", lambda level: f"decoder.up.{levels - 1 - int(level[1])}.", name)
    for pattern, present in RENAMED:
        named = re.sub(pattern, present, named)
    return named


def _linear(name: str, tensor: Tensor) -> Tensor:
    """The projections of the original's attention, which are 1x1 convolutions, as the matrices that they are."""
    is_projection = re.search(r"\.attn_1\.(q|k|v|proj_out)\.weight$", name)
    return tensor[:, :, 0, 0] if is_projection and tensor.shape[2:] == (1, 1) else tensor


def _arguments(config: AudioLdmVaeConfig) -> dict[str, Any]:
    """What diffusers' class is told; its `config.json` must say the same."""
    levels = len(config.widths)
    return {
        "in_channels": 1,
        "out_channels": 1,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": config.widths,
        "layers_per_block": config.layers,
        "act_fn": "silu",
        "latent_channels": config.channels,
        "norm_num_groups": config.groups,
        "shift_factor": None,
    }


def _own_factor(value: object, files: PartFiles) -> float:
    """The factor that weights came with. Raises ConfigError for a value that no factor can have."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value) or value <= 0:
        raise ConfigError(
            f"scaling factor of {files.weights}",
            expected="a number above 0",
            found=repr(value),
            fix="Get the file again.",
        )
    return float(value)


def _scaling_factor(own: float | None, config: AudioLdmVaeConfig, files: PartFiles) -> float:
    """The weights' own factor, or the config's for those that have none; never diffusers' default."""
    told = config.scaling_factor
    if own is not None and told is not None and not math.isclose(told, own, rel_tol=1e-6):
        raise ConfigError(
            f"scaling factor of {files.weights}",
            expected=f"audio_codec.scaling_factor {told}",
            found=f"{own} in the weights",
            fix="Leave audio_codec.scaling_factor out: these weights have their own.",
        )
    factor = told if own is None else own
    if factor is None:
        raise ConfigError(
            f"scaling factor of {files.weights}",
            expected="`scaling_factor` in the config.json beside it, or `scale_factor` among the tensors of AudioLDM",
            found="neither",
            fix="Set audio_codec.scaling_factor to 1 / std of these weights' latents; others' factors do not fit.",
        )
    return factor
