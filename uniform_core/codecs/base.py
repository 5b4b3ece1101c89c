"""What codecs are: pixels and log-mels to raw latents and back, log-mels to sound.

Named states: pixels (float32 in [-1, 1]) ⇄ raw latent; waveform → log-mel ⇄ raw latent; log-mel → waveform. The model
latent (raw latent scaled to about unit variance) is made by training, not here.
Axes: B batch, C channels, T time, H height, W width, F mel bins or their latent, N samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from jaxtyping import Float

from uniform_core.families import Member
from uniform_core.lazy import lazy_name
from uniform_core.spec import AVSpec

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = lazy_name("torch", "Tensor")


class VideoCodec(ABC):
    """Pixels ⇄ raw video latent."""

    @abstractmethod
    def encode(self, video_BCTHW: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B C t h w"]:
        """Raw latent of pixels in [-1, 1]; deterministic (the posterior mean, for a VAE)."""

    @abstractmethod
    def decode(self, latent_BCTHW: Float[Tensor, "B C t h w"]) -> Float[Tensor, "B 3 T H W"]:
        """Pixels, clamped to [-1, 1]."""


class AudioCodec(ABC):
    """Log-mel ⇄ raw audio latent."""

    @abstractmethod
    def encode(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B C t f"]:
        """Raw latent of a log-mel spectrogram."""

    @abstractmethod
    def decode(self, latent_BCTF: Float[Tensor, "B C t f"]) -> Float[Tensor, "B T F"]:
        """Log-mel spectrogram, natural log, floored at log(1e-5)."""


class Vocoder(ABC):
    """Log-mel → waveform."""

    @abstractmethod
    def synthesise(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B N"]:
        """Waveform in [-1, 1], exactly hop x T samples; the same for the same input."""


class VideoCodecConfig(Member):
    @abstractmethod
    def latent_shape_CTHW(self, spec: AVSpec) -> tuple[int, int, int, int]:
        """Shape of one clip's raw latent. Raises ConfigError where the spec does not fit."""

    @abstractmethod
    def build(self, spec: AVSpec) -> VideoCodec: ...


class AudioCodecConfig(Member):
    @abstractmethod
    def latent_shape_CTF(self, spec: AVSpec) -> tuple[int, int, int]:
        """Shape of one clip's raw latent. Raises ConfigError where the spec does not fit."""

    @abstractmethod
    def build(self, spec: AVSpec) -> AudioCodec: ...


class VocoderConfig(Member):
    def require_fit(self, spec: AVSpec) -> None:
        """Nothing. Raises ConfigError where the vocoder cannot speak this spec's log-mels; builds nothing."""

    @abstractmethod
    def build(self, spec: AVSpec) -> Vocoder: ...
