"""A vocoder without weights: Griffin-Lim on the magnitudes that explain a log-mel.

Axes: B batch, T frames, F mel bins, S bins of the short-time spectrum, K samples of a window, H samples of a hop,
N samples.
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
    from torch import Tensor
    from torch.nn import functional
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")
    functional = lazy("torch.nn.functional")

VERSION = 2
_MARGIN = 3  # repeated frames on each side, so that the edges of the clip are made like its middle
_NONNEGATIVE_STEPS = 12


class GriffinLimVocoder(Vocoder):
    """Phase from nothing but consistency: deterministic, since it starts at phase zero.

    One clip at a time: its spectra then stay in a core's cache, and it does not depend on the clips beside it.
    """

    def __init__(self, spec: AVSpec, iterations: int) -> None:
        self._spec, self._iterations = spec, iterations

    def synthesise(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B N"]:
        return torch.stack([self._sound_of(mel_TF) for mel_TF in mel_BTF])

    def _sound_of(self, mel_TF: Float[Tensor, "T F"]) -> Float[Tensor, " N"]:
        spec = self._spec
        padded_1FT = functional.pad(mel_TF.T[None], (_MARGIN, _MARGIN), mode="replicate")
        magnitude_TS = linear_magnitudes(padded_1FT.exp(), spec)[0].T.contiguous()
        waveform_N = griffin_lim(magnitude_TS, n_fft=spec.n_fft, hop=spec.hop, iterations=self._iterations)
        # Griffin-Lim centres frame i on sample i x hop, our mel on i x hop + hop / 2 (see mel.py).
        start = _MARGIN * spec.hop - spec.hop // 2
        return waveform_N[start : start + len(mel_TF) * spec.hop].clamp(-1.0, 1.0)


def griffin_lim(
    magnitude_TS: Float[Tensor, "T S"], *, n_fft: int, hop: int, iterations: int, momentum: float = 0.9
) -> Float[Tensor, " N"]:
    """A waveform of (T - 1) x hop samples whose spectrum is near these magnitudes; frame i is centred on i x hop.

    The fast form, from phase zero, with torchaudio's arithmetic (the reference in the tests): its `momentum` m stands
    for the paper's α = m / (1 + m). Source: Perraudin, Balazs, Søndergaard 2013.
    """
    frames = _Frames(len(magnitude_TS), n_fft=n_fft, hop=hop, like=magnitude_TS)
    lengths_TS = torch.complex(magnitude_TS, torch.zeros_like(magnitude_TS))
    before_TS, spectrum_TS = torch.zeros_like(lengths_TS), lengths_TS
    for _ in range(iterations):
        rebuilt_TS = frames.spectrum_of(frames.waveform_of(spectrum_TS))
        ahead_TS = torch.sub(rebuilt_TS, before_TS, alpha=momentum / (1.0 + momentum))
        spectrum_TS = torch.sgn(ahead_TS).mul_(lengths_TS)
        before_TS = rebuilt_TS
    return frames.waveform_of(spectrum_TS)


class _Frames:
    """The short-time transform of one waveform under a Hann window, both ways.

    torch.stft and torch.istft check and copy what is the same in each of many rounds.
    """

    def __init__(self, count: int, *, n_fft: int, hop: int, like: Tensor) -> None:
        self._n_fft, self._hop, self._margin = n_fft, hop, n_fft // 2
        self._window_K = torch.hann_window(n_fft, dtype=like.dtype, device=like.device)
        weight_N = self._added(self._window_K.square().expand(count, -1))
        self._weight_N = weight_N[self._margin : len(weight_N) - self._margin]

    def waveform_of(self, spectrum_TS: Tensor) -> Float[Tensor, " N"]:
        """The waveform whose spectrum is nearest."""
        pieces_TK = torch.fft.irfft(spectrum_TS, n=self._n_fft, dim=1).mul_(self._window_K)
        added_N = self._added(pieces_TK)
        return added_N[self._margin : len(added_N) - self._margin] / self._weight_N

    def spectrum_of(self, waveform_N: Tensor) -> Tensor:
        """The spectrum, the waveform mirrored at its ends."""
        mirrored_N = functional.pad(waveform_N[None], (self._margin, self._margin), mode="reflect")[0]
        spectrum_TS: Tensor = torch.fft.rfft(mirrored_N.unfold(0, self._n_fft, self._hop) * self._window_K, dim=1)
        return spectrum_TS

    def _added(self, pieces_TK: Tensor) -> Float[Tensor, " N"]:
        """The pieces laid over one another a hop apart: hop by hop, which adds whole rows."""
        count, hop = len(pieces_TK), self._hop
        whole = -(-self._n_fft // hop)
        sum_TH = pieces_TK.new_zeros(count + whole - 1, hop)
        for index, part_TH in enumerate(torch.split(pieces_TK, hop, dim=1)):
            sum_TH[index : index + count, : part_TH.shape[1]] += part_TH
        return sum_TH.flatten()[: self._n_fft + hop * (count - 1)]


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
    iterations: Count = 32

    def fingerprint_params(self) -> dict[str, Any]:
        return {**super().fingerprint_params(), "version": VERSION, "mel_version": mel.VERSION}

    def build(self, spec: AVSpec) -> GriffinLimVocoder:
        return GriffinLimVocoder(spec, self.iterations)
