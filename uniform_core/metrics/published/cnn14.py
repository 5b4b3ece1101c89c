"""PANNs Cnn14 at 16 kHz: what FD, IS and KL of sound stand on.

Axes: B clips, N samples, T frames, S frequencies, M mel bands, C channels, D features, K classes of AudioSet.
Source: audioset_tagging_cnn (class Cnn14_16k, its parameter names); audioldm_eval 8dc07ee has the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from uniform_core.metrics.published.configs import Cnn14Config
from uniform_core.metrics.published.loading import empty, file_named, filled, on_device_of, require_state
from uniform_core.metrics.published.sound import RATE_HZ, require_waveform
from uniform_core.metrics.slaney import mel_filters
from uniform_core.weights import find_weights
from uniform_core.weights.reading import read_forms, read_tensors

FILE: Final = "Cnn14_16k_mAP=0.438.pth"
KEY: Final = "model"  # the part of the checkpoint that has the weights
WINDOW, HOP, BANDS = 512, 160, 64
LOW_HZ, HIGH_HZ = 50.0, 8000.0
LEAST_POWER: Final = 1e-10
CHANNELS: Final = (64, 128, 256, 512, 1024, 2048)
CLASSES: Final = 527
MIN_FRAMES: Final = 32  # five poolings halve them, and one must be left
MIN_SAMPLES: Final = (MIN_FRAMES - 1) * HOP
FRONT: Final = ("spectrogram_extractor.stft.conv_real.weight", "spectrogram_extractor.stft.conv_imag.weight")
FRONT_MEL: Final = "logmel_extractor.melW"


class Cnn14Look(NamedTuple):
    """What the net says of a clip: the layer "2048" (behind its ReLU), and a logit for each class of AudioSet."""

    features_D: Float32[np.ndarray, " 2048"]
    logits_K: Float32[np.ndarray, " 527"]


class Transform(nn.Module):
    """The power spectrum by two convolutions whose frozen weights are a windowed Fourier transform."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_real = nn.Conv1d(1, WINDOW // 2 + 1, WINDOW, stride=HOP, bias=False)
        self.conv_imag = nn.Conv1d(1, WINDOW // 2 + 1, WINDOW, stride=HOP, bias=False)

    def forward(self, waveform_BN: Float[Tensor, "B N"]) -> Float[Tensor, "B T S"]:
        padded_B1N = functional.pad(waveform_BN.unsqueeze(1), (WINDOW // 2, WINDOW // 2), mode="reflect")
        power_BST: Tensor = self.conv_real(padded_B1N) ** 2 + self.conv_imag(padded_B1N) ** 2
        return power_BST.transpose(1, 2)


class Spectrogram(nn.Module):
    """The transform under the name that its weights have."""

    def __init__(self) -> None:
        super().__init__()
        self.stft = Transform()

    def forward(self, waveform_BN: Float[Tensor, "B N"]) -> Float[Tensor, "B T S"]:
        power_BTS: Tensor = self.stft(waveform_BN)
        return power_BTS


class LogMel(nn.Module):
    """Power → mel bands in dB, without a lower end but the least power."""

    def __init__(self) -> None:
        super().__init__()
        self.melW = nn.Parameter(torch.empty(WINDOW // 2 + 1, BANDS))

    def forward(self, power_BTS: Float[Tensor, "B T S"]) -> Float[Tensor, "B T M"]:
        return 10.0 * torch.log10((power_BTS @ self.melW).clamp(min=LEAST_POWER))


class ConvBlock(nn.Module):
    """Two convolutions with batch norm and ReLU, and a pooling."""

    def __init__(self, before: int, channels: int, *, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self._pool = pool

    def forward(self, x_BCTM: Float[Tensor, "B C T M"]) -> Float[Tensor, "B c t m"]:
        x = functional.relu(self.bn1(self.conv1(x_BCTM)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.avg_pool2d(x, self._pool) if self._pool > 1 else x


class Cnn14Net(nn.Module):
    """Waveforms → (features behind fc1 and its ReLU, logits)."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram_extractor = Spectrogram()
        self.logmel_extractor = LogMel()
        self.bn0 = nn.BatchNorm2d(BANDS)
        for number, (before, channels) in enumerate(zip((1, *CHANNELS), CHANNELS, strict=False), start=1):
            pool = 1 if number == len(CHANNELS) else 2
            setattr(self, f"conv_block{number}", ConvBlock(before, channels, pool=pool))
        self.fc1 = nn.Linear(CHANNELS[-1], CHANNELS[-1])
        self.fc_audioset = nn.Linear(CHANNELS[-1], CLASSES)

    def log_mel(self, waveform_BN: Float[Tensor, "B N"]) -> Float[Tensor, "B T M"]:
        """The log-mel in dB that the net looks at."""
        log_mel_BTM: Tensor = self.logmel_extractor(self.spectrogram_extractor(waveform_BN))
        return log_mel_BTM

    def forward(self, waveform_BN: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B 2048"], Float[Tensor, "B 527"]]:
        by_band_BMT1 = self.log_mel(waveform_BN).transpose(1, 2).unsqueeze(3)
        x = self.bn0(by_band_BMT1).permute(0, 3, 2, 1)
        for number in range(1, len(CHANNELS) + 1):
            x = self.get_submodule(f"conv_block{number}")(x)
        over_bands_BCT = x.mean(dim=3)
        pooled_BC = over_bands_BCT.amax(dim=2) + over_bands_BCT.mean(dim=2)
        features_BD = functional.relu(self.fc1(pooled_BC))
        return features_BD, self.fc_audioset(features_BD)


@dataclass(frozen=True)
class Cnn14:
    """A waveform at 16 kHz → features and logits, the whole clip in one pass."""

    network: Cnn14Net

    def look(self, waveform_N: Float[np.ndarray, " n"]) -> Cnn14Look:
        """What the net says of one clip. Raises ConfigError for one shorter than 0.31 s."""
        require_waveform(waveform_N, least=MIN_SAMPLES, net="Cnn14")
        waveform_1N = on_device_of(self.network, torch.from_numpy(waveform_N).unsqueeze(0))
        with torch.no_grad():
            features_1D, logits_1K = self.network(waveform_1N)
        return Cnn14Look(features_1D[0].cpu().numpy(), logits_1K[0].cpu().numpy())


def load_cnn14(config: Cnn14Config) -> Cnn14:
    """The net of a config. Raises ConfigError where its weights are not there, or not these."""
    return Cnn14(filled(*_fitting(config, read=read_tensors), device=config.device))


def require_network(config: Cnn14Config) -> None:
    """The weights of a config have its names and shapes. Raises ConfigError; reads no numbers."""
    _fitting(config, read=read_forms)


def _fitting(config: Cnn14Config, *, read: Callable[..., dict[str, Tensor]]) -> tuple[Cnn14Net, dict[str, Tensor]]:
    """The network without weights, and weights that fit it; a checkpoint without the front end has it computed."""
    path = file_named(find_weights(config.weights), FILE)
    named = read(path, key=KEY, has_arrays=True)  # beside the weights: where its sampler stood
    has_front = any(name in named for name in (*FRONT, FRONT_MEL))
    network, state = empty(Cnn14Net), named if has_front else front_end() | named
    require_state(network, state, item=str(path))
    return network, state


def front_end() -> dict[str, Tensor]:
    """The three frozen tensors: a Fourier transform under a periodic Hann window, and Slaney's mel filter bank."""
    at = np.arange(WINDOW)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / WINDOW * at)
    turns = np.outer(np.arange(WINDOW // 2 + 1), at) % WINDOW
    waves = np.exp(-2j * np.pi / WINDOW * turns) * hann
    parts = [torch.from_numpy(part.astype(np.float32)).unsqueeze(1) for part in (waves.real, waves.imag)]
    filters_MS = mel_filters(RATE_HZ, window=WINDOW, bands=BANDS, low_hz=LOW_HZ, high_hz=HIGH_HZ)
    return dict(zip(FRONT, parts, strict=True)) | {FRONT_MEL: torch.from_numpy(filters_MS.T.copy())}
