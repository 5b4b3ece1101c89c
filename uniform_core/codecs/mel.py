"""Waveform → log-mel, in the two forms that AudioLDM's repositories have.

Axes: B batch, N samples, T frames, F mel bins.

`training` (the default, what AudioLDM's VAE and HiFi-GAN were trained on): the waveform is reflect-padded by
(n_fft - hop) / 2 on each side and framed without further centring, so frame i is centred on sample i x hop + hop / 2
and T frames stand for exactly T x hop samples. `inference` (AudioLDM's style transfer, JavisDiT): padded by n_fft / 2,
so frame i is centred on sample i x hop, half a hop earlier, and there is one frame more. At the same index they differ
by 0.21 in the mean. Both: magnitude (not power), Slaney scale and area norm, natural log floored at 1e-5.
Source: AudioLDM-training-finetuning, AudioLDM; their values are kept in tests/parity/golden/mel_seed*.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from jaxtyping import Float

from uniform_core.lazy import lazy, lazy_name
from uniform_core.spec import AVSpec

if TYPE_CHECKING:
    import torch
    import torchaudio
    from torch import Tensor
    from torch.nn import functional
else:
    torch = lazy("torch")
    torchaudio = lazy("torchaudio")
    Tensor = lazy_name("torch", "Tensor")
    functional = lazy("torch.nn.functional")

VERSION = 1  # enters the fingerprint of whatever reads or speaks log-mels
MEL_FLOOR = 1e-5
LOG_MEL_FLOOR = math.log(MEL_FLOOR)

MelForm = Literal["training", "inference"]


def log_mel(waveform_BN: Float[Tensor, "B N"], spec: AVSpec, *, form: MelForm = "training") -> Float[Tensor, "B T F"]:
    """Log-mel of waveforms in [-1, 1], as many frames as whole hops (`inference`: one more); never below log(1e-5).

    A waveform is cut or padded before this, never the mel: log-mel 0 is loud. N must exceed the padding of a side.
    """
    around = spec.n_fft - spec.hop if form == "training" else 2 * (spec.n_fft // 2)
    before = around // 2
    after = around - before
    padded_BN = functional.pad(waveform_BN.unsqueeze(1), (before, after), mode="reflect").squeeze(1)
    mel_BFT: Tensor = _transform(spec, waveform_BN.device, waveform_BN.dtype)(padded_BN)
    return mel_BFT.clamp(min=MEL_FLOOR).log().transpose(1, 2).contiguous()


def mel_basis(spec: AVSpec) -> Float[Tensor, "bins F"]:
    """The filter bank that `log_mel` applies to the n_fft // 2 + 1 magnitudes of a frame."""
    basis: Tensor = torchaudio.functional.melscale_fbanks(
        n_freqs=spec.n_fft // 2 + 1,
        f_min=0.0,
        f_max=spec.f_max_hz,
        n_mels=spec.n_mels,
        sample_rate=spec.audio_rate_hz,
        norm="slaney",
        mel_scale="slaney",
    )
    return basis


@lru_cache(maxsize=16)
def _transform(spec: AVSpec, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    transform: torch.nn.Module = torchaudio.transforms.MelSpectrogram(
        sample_rate=spec.audio_rate_hz,
        n_fft=spec.n_fft,
        win_length=spec.n_fft,
        hop_length=spec.hop,
        f_min=0.0,
        f_max=spec.f_max_hz,
        n_mels=spec.n_mels,
        power=1.0,
        center=False,
        norm="slaney",
        mel_scale="slaney",
    )
    return transform.to(device=device, dtype=dtype)
