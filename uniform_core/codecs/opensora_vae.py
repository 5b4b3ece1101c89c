"""The video codec of Open-Sora 1.2: 17 frames become 5 latent frames of 4 channels, an eighth as high and wide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from uniform_core.codecs.base import VideoCodec, VideoCodecConfig
from uniform_core.codecs.vae_sizes import SpatialVaeSize, TemporalVaeSize
from uniform_core.devices import Device, device_of
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy
from uniform_core.spec import AVSpec
from uniform_core.types import Count
from uniform_core.weights import find_weights, weights_digest
from uniform_core.weights.filling import Precision

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

VERSION = 1

_FILE: Final = "model.safetensors"
_PLACES: Final = {"weights", "micro_batch", "device", "channels_last", "compiled"}  # of no number of a latent


class OpenSoraVaeConfig(VideoCodecConfig):
    """Open-Sora's VAE 1.2. `weights` is a name of the manifest, or the path of a folder or of its one file.

    On a GPU: `dtype="bfloat16"`, a larger `micro_batch` of frames, and `compiled` where many clips are encoded.
    `device="auto"` takes a GPU where there is one. `channels_last=None` means on a GPU.
    """

    kind: Literal["opensora_vae"] = "opensora_vae"
    weights: str = "opensora-vae-1.2"
    spatial: SpatialVaeSize = SpatialVaeSize()
    temporal: TemporalVaeSize = TemporalVaeSize()
    dtype: Precision = "float32"
    micro_batch: Count = 4
    device: Device = "auto"
    channels_last: bool | None = None
    compiled: bool = False

    @classmethod
    def example(cls) -> OpenSoraVaeConfig:
        """A miniature, whose weights someone has to put there."""
        return cls(
            weights="./opensora_vae",
            spatial=SpatialVaeSize(widths=(8, 8, 16, 16), layers=1, groups=4),
            temporal=TemporalVaeSize(filters=8, res_blocks=1, groups=4),
        )

    def latent_shape_CTHW(self, spec: AVSpec) -> tuple[int, int, int, int]:
        factor, temporal = self.spatial.factor, self.temporal
        _, frames, height, width = spec.pixel_shape_CTHW
        if height % factor or width % factor:
            raise ConfigError(
                "codec opensora_vae",
                expected=f"height_px and width_px that are multiples of {factor}",
                found=f"{height} x {width}",
                fix=f"Change them. (Frames may be any number: each {temporal.chunk_frames} give "
                f"{temporal.latent_frames(temporal.chunk_frames)} latent frames, and of the rest each begun "
                f"{temporal.factor} give one.)",
            )
        return (self.spatial.channels, temporal.latent_frames(frames), height // factor, width // factor)

    def fingerprint_params(self) -> dict[str, Any]:
        params = self.model_dump(mode="json", exclude=_PLACES)
        return {**params, "version": VERSION, "weights": weights_digest(self.weights)}

    def weight_facts(self) -> dict[str, Any]:
        from uniform_core.codecs.opensora_vae_net import require_network

        require_network(self._file(), spatial=self.spatial, temporal=self.temporal)
        return {}

    def build(self, spec: AVSpec) -> VideoCodec:
        """Raises ConfigError where the weights are not there, or not these; or where there is no GPU to use."""
        from uniform_core.codecs.opensora_vae_net import OpenSoraVaeCodec, load_network

        self.latent_shape_CTHW(spec)
        device = device_of(self.device)
        network = load_network(self._file(), spatial=self.spatial, temporal=self.temporal).place(
            device,
            getattr(torch, self.dtype),
            channels_last=device.type == "cuda" if self.channels_last is None else self.channels_last,
            compiled=self.compiled,
        )
        return OpenSoraVaeCodec(
            network, spatial=self.spatial, temporal=self.temporal, frames=spec.frames, micro_batch=self.micro_batch
        )

    def _file(self) -> Path:
        found = find_weights(self.weights)
        return next(iter(found.files.values())) if len(found.files) == 1 else found.file(_FILE)
