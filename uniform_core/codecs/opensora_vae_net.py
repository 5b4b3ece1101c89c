"""Open-Sora's VAE 1.2 as one network, and as a codec that works through a clip a chunk at a time.

Names are its checkpoint's: `spatial_vae.module.*` (diffusers' AutoencoderKL), `temporal_vae.*`, `scale`, `shift`.
Source: hpcaitech/Open-Sora v1.2.0, vae.py.
Axes: B batch, C channels, T time, H height, W width; small letters: of the latent. F frames, as a batch of pictures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn

from uniform_core.codecs.base import VideoCodec
from uniform_core.codecs.vae_sizes import SpatialVaeSize, TemporalVaeSize
from uniform_core.codecs.vae_temporal import TemporalVae
from uniform_core.errors import ConfigError
from uniform_core.weights.reading import AGAIN, read_forms, read_tensors, require_names, unreadable

# SDXL's own factor is 0.13025, but Open-Sora's code multiplies by that of Stable Diffusion 1, and was trained so.
SPATIAL_SCALING: Final = 0.18215
_OLDER_ATTENTION: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class SpatialVae(nn.Module):
    """Single frames ⇄ their scaled latents."""

    def __init__(self, size: SpatialVaeSize) -> None:
        super().__init__()
        levels = len(size.widths)
        self.module = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=size.widths,
            layers_per_block=size.layers,
            latent_channels=size.channels,
            norm_num_groups=size.groups,
        )

    def encode(self, pixels_FCHW: Float[Tensor, "F 3 H W"]) -> Float[Tensor, "F C h w"]:
        """The posterior mean: Open-Sora draws a sample here, and what is stored must not depend on chance."""
        moments_FCHW: Tensor = self.module.quant_conv(self.module.encoder(pixels_FCHW))
        return moments_FCHW.chunk(2, dim=1)[0] * SPATIAL_SCALING

    def decode(self, latent_FCHW: Float[Tensor, "F C h w"]) -> Float[Tensor, "F 3 H W"]:
        pixels_FCHW: Tensor = self.module.decoder(self.module.post_quant_conv(latent_FCHW / SPATIAL_SCALING))
        return pixels_FCHW


class OpenSoraVae(nn.Module):
    """The two parts, and the four channels' scale and shift, which come with the weights."""

    scale: Tensor
    shift: Tensor

    def __init__(self, spatial: SpatialVaeSize, temporal: TemporalVaeSize) -> None:
        super().__init__()
        self.spatial_vae = SpatialVae(spatial)
        self.temporal_vae = TemporalVae(temporal, channels=spatial.channels)
        self.register_buffer("scale", torch.ones(1, spatial.channels, 1, 1, 1))
        self.register_buffer("shift", torch.zeros(1, spatial.channels, 1, 1, 1))

    def encode_chunk(self, frames_BCTHW: Float[Tensor, "B C T h w"]) -> Float[Tensor, "B C t h w"]:
        """The raw latent, float32, of the spatial latents of one chunk: the posterior mean again."""
        mean_BCTHW = self.temporal_vae.encode(frames_BCTHW).mean_BCTHW
        return (mean_BCTHW.float() - self.shift) / self.scale

    def decode_chunk(self, latent_BCTHW: Float[Tensor, "B C t h w"], *, frames: int) -> Float[Tensor, "B C T h w"]:
        """The spatial latents of the frames of one chunk."""
        z_BCTHW = latent_BCTHW.float() * self.scale + self.shift
        return self.temporal_vae.decode(z_BCTHW.to(self.dtype), frames=frames)

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in; scale and shift stay float32."""
        return self.temporal_vae.quant_conv.conv.weight.dtype

    def place(self, device: torch.device, dtype: torch.dtype, *, channels_last: bool, compiled: bool) -> OpenSoraVae:
        """Itself on a device. Compiling waits for the first use, and is done for each of the few shapes of a clip."""
        spatial, temporal = self.spatial_vae.to(dtype), self.temporal_vae.to(dtype)
        if channels_last:
            spatial.to(memory_format=torch.channels_last)
            temporal.to(memory_format=torch.channels_last_3d)
        if compiled:
            for part in (spatial.module.encoder, spatial.module.decoder, temporal.encoder, temporal.decoder):
                part.compile(dynamic=False)
        return self.to(device)


class OpenSoraVaeCodec(VideoCodec):
    """One clip and one chunk after the other: memory does not grow with either, and no clip sees its neighbours.

    Frames go through the spatial part `micro_batch` at a time. Latents and pixels come back to the input's device.
    `frames` of a decoded clip must be told: a latent of 19 frames may stand for 64 to 67.
    """

    def __init__(
        self, network: OpenSoraVae, *, spatial: SpatialVaeSize, temporal: TemporalVaeSize, frames: int, micro_batch: int
    ) -> None:
        self.network = network
        self._spatial, self._temporal, self._frames, self._micro_batch = spatial, temporal, frames, micro_batch

    @torch.no_grad()
    def encode(self, video_BCTHW: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B C t h w"]:
        batch, _, frames, height, width = video_BCTHW.shape
        chunks, factor = self._temporal.chunks(frames), self._spatial.factor
        shape = (batch, self._spatial.channels, chunks[-1][1].stop, height // factor, width // factor)
        latent_BCTHW = torch.empty(shape, device=video_BCTHW.device)
        for clip_CTHW, made_CTHW in zip(video_BCTHW, latent_BCTHW, strict=True):
            for at, into in chunks:
                made_CTHW[:, into] = self._encode_chunk(clip_CTHW[:, at]).to(made_CTHW.device)
        return latent_BCTHW

    @torch.no_grad()
    def decode(self, latent_BCTHW: Float[Tensor, "B C t h w"]) -> Float[Tensor, "B 3 T H W"]:
        batch, _, latent_frames, height, width = latent_BCTHW.shape
        chunks, factor = self._temporal.chunks(self._frames), self._spatial.factor
        if latent_frames != chunks[-1][1].stop:
            raise ConfigError(
                "latent of opensora_vae",
                expected=f"{chunks[-1][1].stop} frames, which stand for {self._frames} of the clip",
                found=str(latent_frames),
                fix="Build the codec for the spec that the latent was made with.",
            )
        pixels_BCTHW = torch.empty(
            (batch, 3, self._frames, height * factor, width * factor), device=latent_BCTHW.device
        )
        for clip_CTHW, made_CTHW in zip(latent_BCTHW, pixels_BCTHW, strict=True):
            for into, at in chunks:
                self._decode_chunk(clip_CTHW[:, at], into_CTHW=made_CTHW[:, into])
        return pixels_BCTHW

    def _encode_chunk(self, pixels_CTHW: Float[Tensor, "3 T H W"]) -> Float[Tensor, "C t h w"]:
        parts = self._in_parts(pixels_CTHW.transpose(0, 1))
        latent_FCHW = torch.cat([self.network.spatial_vae.encode(self._to_network(part)) for part in parts])
        return self.network.encode_chunk(latent_FCHW.transpose(0, 1)[None])[0]

    def _decode_chunk(self, latent_CTHW: Float[Tensor, "C t h w"], *, into_CTHW: Float[Tensor, "3 T H W"]) -> None:
        device = self.network.scale.device
        frames_BCTHW = self.network.decode_chunk(latent_CTHW[None].to(device), frames=into_CTHW.shape[1])
        parts, into_parts = self._in_parts(frames_BCTHW[0].transpose(0, 1)), self._in_parts(into_CTHW.transpose(0, 1))
        for part, into in zip(parts, into_parts, strict=True):
            into.copy_(self.network.spatial_vae.decode(part).float().clamp(-1.0, 1.0))

    def _in_parts(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Near-equal parts of at most `micro_batch` frames: one odd frame at the end would cost as much as four."""
        return frames.tensor_split(math.ceil(len(frames) / self._micro_batch))

    def _to_network(self, values: Tensor) -> Tensor:
        return values.to(self.network.scale.device, self.network.dtype)


def load_network(path: Path, *, spatial: SpatialVaeSize, temporal: TemporalVaeSize) -> OpenSoraVae:
    """The network with every one of a file's tensors in its place, float32, for inference.

    Raises ConfigError for a file that is damaged, another model's or of another size, or has a scale that none can be.
    """
    found = with_present_names(read_tensors(path))
    network = _fitting(found, path, spatial=spatial, temporal=temporal)
    if float(found["scale"].min()) <= 0:  # latents are divided by it
        scale = ", ".join(f"{number:g}" for number in found["scale"].flatten().tolist())
        raise unreadable(path, f"scale {scale}", expected="a scale above 0 for each channel", fix=AGAIN)
    network.to_empty(device="cpu")
    network.load_state_dict(found, strict=True)  # copied: a tensor that was read may be the file itself
    return network.eval().requires_grad_(False)


def require_network(path: Path, *, spatial: SpatialVaeSize, temporal: TemporalVaeSize) -> None:
    """A file has the names and shapes of the network. Raises ConfigError; reads no numbers."""
    _fitting(with_present_names(read_forms(path)), path, spatial=spatial, temporal=temporal)


def _fitting(
    found: Mapping[str, Tensor], path: Path, *, spatial: SpatialVaeSize, temporal: TemporalVaeSize
) -> OpenSoraVae:
    """The network without weights, which those of a file fit. Raises ConfigError."""
    with torch.device("meta"):
        network = OpenSoraVae(spatial, temporal)
    require_names(found, {name: tuple(value.shape) for name, value in network.state_dict().items()}, item=str(path))
    return network


def with_present_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the names that diffusers gives attention today; older files have others."""
    older = re.compile(rf"(?<=\.)({'|'.join(_OLDER_ATTENTION)})(?=\.(?:weight|bias)$)")
    return {older.sub(lambda match: _OLDER_ATTENTION[match[0]], name): value for name, value in tensors.items()}
