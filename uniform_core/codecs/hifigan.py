"""The vocoder of AudioLDM: HiFi-GAN, which makes every mel frame into as many samples as its upsampling multiplies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from uniform_core.codecs import mel
from uniform_core.codecs.base import Vocoder, VocoderConfig
from uniform_core.devices import Device
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy
from uniform_core.spec import AVSpec
from uniform_core.types import Count
from uniform_core.weights import weights_digest

if TYPE_CHECKING:
    from uniform_core.codecs import hifigan_net
else:
    hifigan_net = lazy("uniform_core.codecs.hifigan_net")

VERSION = 1

Counts = Annotated[tuple[Count, ...], Field(min_length=1)]


class HifiGanConfig(VocoderConfig):
    """HiFi-GAN by transformers' SpeechT5HifiGan; the sizes are AudioLDM's. It takes mels of the `training` form."""

    kind: Literal["hifigan"] = "hifigan"
    weights: str = "audioldm-s-full-v2"  # a name of the manifest, or a path: transformers' folder, or an original .ckpt
    part: Literal["generator", "state_dict"] = "generator"  # of a .ckpt: its own has the first
    upsample_rates: Counts = (5, 4, 2, 2, 2)
    upsample_kernels: Counts = (16, 16, 8, 4, 4)
    initial_channels: Count = 1024
    resblock_kernels: Counts = (3, 7, 11)
    resblock_dilations: Annotated[tuple[Counts, ...], Field(min_length=1)] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    n_mels: Count = 64
    audio_rate_hz: Count = 16_000
    device: Device = "auto"
    batch: Count = 8  # clips at a time: bounds memory

    @model_validator(mode="after")
    def _parts_match(self) -> HifiGanConfig:
        pairs = zip(self.upsample_rates, self.upsample_kernels, strict=False)
        if len(self.upsample_rates) != len(self.upsample_kernels) or any(kernel < rate for rate, kernel in pairs):
            raise ValueError("upsample_kernels must have one kernel for each of upsample_rates, not smaller than it")
        if len(self.resblock_kernels) != len(self.resblock_dilations):
            raise ValueError("resblock_dilations must have one list for each of resblock_kernels")
        if self.initial_channels % (1 << len(self.upsample_rates)):
            raise ValueError(
                f"initial_channels must be a multiple of {1 << len(self.upsample_rates)}: each rate halves"
            )
        return self

    def require_fit(self, spec: AVSpec) -> None:
        made = math.prod(self.upsample_rates)
        fits = {
            f"spec.hop {made}, the product of upsample_rates {self.upsample_rates}": (spec.hop, made),
            f"spec.n_mels {self.n_mels}": (spec.n_mels, self.n_mels),
            f"spec.audio_rate_hz {self.audio_rate_hz}": (spec.audio_rate_hz, self.audio_rate_hz),
        }
        for expected, (found, wanted) in fits.items():
            if found != wanted:
                raise ConfigError(
                    "vocoder hifigan",
                    expected=expected,
                    found=f"{found}",
                    fix="Change the spec, or the vocoder's sizes where your weights are others.",
                )

    def fingerprint_params(self) -> dict[str, Any]:
        params = self.model_dump(mode="json", exclude={"weights", "device", "batch"})
        weights = weights_digest(self.weights)
        return {**params, "weights": weights, "version": VERSION, "mel_version": mel.VERSION}

    def weight_facts(self) -> dict[str, Any]:
        hifigan_net.require_network(self)
        return {}

    def build(self, spec: AVSpec) -> Vocoder:
        self.require_fit(spec)
        return hifigan_net.load_vocoder(self)
