"""A vocoder without weights: Griffin-Lim on the magnitudes that explain a log-mel.

Axes: B batch, T frames, F mel bins, S bins of the short-time spectrum, N samples.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from jaxtyping import Float

from uniform_core.codecs import mel
from uniform_core.codecs.base import Vocoder, VocoderConfig
from uniform_core.codecs.mel import mel_basis
from uniform_core.lazy import lazy, lazy_name
from uniform_core.spec import AVSpec
from uniform_core.types import Count

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

VERSION = 3
MOMENTUM = 0.9  # of the fast form: Perraudin, Balazs, Søndergaard 2013
_MARGIN = 3  # repeated frames on each side, so that the edges of the clip are made like its middle
_NONNEGATIVE_STEPS = 12


class GriffinLimVocoder(Vocoder):
    """Phase from nothing but consistency: deterministic, since it starts at phase zero.

    One clip at a time, which is faster than a batch: its spectra then stay in a core's cache.
    """

    def __init__(self, spec: AVSpec, iterations: int) -> None:
        self._spec, self._iterations = spec, iterations

    def synthesise(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B N"]:
        return torch.stack([self._sound_of(mel_TF) for mel_TF in mel_BTF])

    def _sound_of(self, mel_TF: Float[Tensor, "T F"]) -> Float[Tensor, " N"]:
        spec = self._spec
        padded_1FT = functional.pad(mel_TF.T[None], (_MARGIN, _MARGIN), mode="replicate")
        waveform_N: Tensor = torchaudio.functional.griffinlim(
            linear_magnitudes(padded_1FT.exp(), spec)[0],
            window=torch.hann_window(spec.n_fft, dtype=mel_TF.dtype, device=mel_TF.device),
            n_fft=spec.n_fft,
            hop_length=spec.hop,
            win_length=spec.n_fft,
            power=1.0,
            n_iter=self._iterations,
            momentum=MOMENTUM,
            length=None,
            rand_init=False,
        )
        # Griffin-Lim centres frame i on sample i x hop, our mel on i x hop + hop / 2 (see mel.py).
        start = _MARGIN * spec.hop - spec.hop // 2
        return waveform_N[start : start + len(mel_TF) * spec.hop].clamp(-1.0, 1.0)


def linear_magnitudes(mel_BFT: Float[Tensor, "B F T"], spec: AVSpec) -> Float[Tensor, "B bins T"]:
    """Non-negative STFT magnitudes whose mel is close to `mel_BFT` (amplitudes, not logs).

    The pseudo-inverse gives the start; multiplicative steps keep every bin non-negative and bring the mel nearer.
    """
    basis_SF, inverse_FS = _bases(spec, mel_BFT.device, mel_BFT.dtype)
    target_BST = basis_SF @ mel_BFT
    magnitude_BST = (inverse_FS.T @ mel_BFT).clamp(min=1e-8)
    for _ in range(_NONNEGATIVE_STEPS):
        explained_BST = basis_SF @ (basis_SF.T @ magnitude_BST)
        magnitude_BST = magnitude_BST * (target_BST / explained_BST.clamp(min=1e-12))
    return magnitude_BST


@lru_cache(maxsize=16)
def _bases(spec: AVSpec, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    basis_SF = mel_basis(spec).double()
    inverse_FS = torch.linalg.pinv(basis_SF)
    return basis_SF.to(device=device, dtype=dtype), inverse_FS.to(device=device, dtype=dtype)


class GriffinLimConfig(VocoderConfig):
    """The offline vocoder: intelligible events, a slight ring; no weights."""

    kind: Literal["griffin_lim"] = "griffin_lim"
    iterations: Count = 12  # more than 8 bring the log-mel no nearer (docs/experiments.md)

    def fingerprint_params(self) -> dict[str, Any]:
        return {**super().fingerprint_params(), "version": VERSION, "mel_version": mel.VERSION}

    def build(self, spec: AVSpec) -> GriffinLimVocoder:
        return GriffinLimVocoder(spec, self.iterations)
