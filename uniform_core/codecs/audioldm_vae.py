"""The audio codec of AudioLDM: a log-mel as a picture of one channel, a quarter as long and high, of 8 channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from uniform_core.codecs import mel
from uniform_core.codecs.base import AudioCodec, AudioCodecConfig
from uniform_core.devices import Device
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy
from uniform_core.spec import AVSpec
from uniform_core.types import Count, PositiveFloat
from uniform_core.weights import weights_digest
from uniform_core.weights.filling import Precision

if TYPE_CHECKING:
    from uniform_core.codecs import audioldm_vae_net
else:
    audioldm_vae_net = lazy("uniform_core.codecs.audioldm_vae_net")

VERSION = 1


class AudioLdmVaeConfig(AudioCodecConfig):
    """AudioLDM's VAE by diffusers' AutoencoderKL; sizes and mel are those of every checkpoint that was published.

    The raw latent is the posterior's mean times the scaling factor, so training needs no scale of its own
    (`scaling.audio.over` "identity"). The factor is the checkpoint's own: 1 / std of its first training batch.
    """

    kind: Literal["audioldm_vae"] = "audioldm_vae"
    weights: str = "audioldm-s-full-v2"  # a name of the manifest, or a path: diffusers' folder, or an original .ckpt
    scaling_factor: PositiveFloat | None = None  # for weights that come without one; never in place of theirs
    channels: Count = 8  # of the latent
    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = (128, 256, 512)
    layers: Count = 2  # residual blocks of a level of the encoder
    groups: Count = 32
    # The log-mel that the weights were trained on.
    audio_rate_hz: Count = 16_000
    n_fft: Count = 1024
    hop: Count = 160
    n_mels: Count = 64
    f_max_hz: PositiveFloat = 8_000.0
    dtype: Precision = "float32"
    device: Device = "auto"
    batch: Count = 8  # clips at a time: bounds memory

    @model_validator(mode="after")
    def _groups_fit(self) -> AudioLdmVaeConfig:
        if wrong := [width for width in self.widths if width % self.groups]:
            raise ValueError(f"widths {wrong} must be multiples of groups {self.groups}, the groups of each norm")
        return self

    @property
    def factor(self) -> int:
        """Mel frames, and mel bins, of one latent value."""
        return 1 << (len(self.widths) - 1)

    def latent_shape_CTF(self, spec: AVSpec) -> tuple[int, int, int]:
        for name in ("audio_rate_hz", "n_fft", "hop", "n_mels", "f_max_hz"):
            if getattr(spec, name) != getattr(self, name):
                raise ConfigError(
                    "codec audioldm_vae",
                    expected=f"spec.{name} {getattr(self, name)}, which its weights were trained on",
                    found=f"{getattr(spec, name)}",
                    fix=f"Change the spec, or audio_codec.{name} where your weights are others.",
                )
        frames, bins = spec.mel_shape_TF
        if frames % self.factor or bins % self.factor:
            raise ConfigError(
                "codec audioldm_vae",
                expected=f"mel frames and bins that are multiples of {self.factor}",
                found=f"{(frames, bins)}",
                fix=f"Choose a duration of a multiple of {self.factor * self.hop} samples.",
            )
        return (self.channels, frames // self.factor, bins // self.factor)

    def fingerprint_params(self) -> dict[str, Any]:
        params = self.model_dump(mode="json", exclude={"weights", "device", "batch"})
        weights = weights_digest(self.weights)  # with them their scaling factor
        return {**params, "weights": weights, "version": VERSION, "mel_version": mel.VERSION}

    def weight_facts(self) -> dict[str, Any]:
        return {"scaling_factor": audioldm_vae_net.scaling_factor_of(self)}

    def build(self, spec: AVSpec) -> AudioCodec:
        self.latent_shape_CTF(spec)
        return audioldm_vae_net.load_codec(self)
