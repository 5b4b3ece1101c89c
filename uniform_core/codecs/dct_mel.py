"""An audio codec without weights: the strongest cosines of each block of a log-mel.

Axes: B batch, C channels, T time, F mel bins, K kept, D values of a block.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from einops import rearrange
from jaxtyping import Float
from pydantic import model_validator

from uniform_core.codecs import mel
from uniform_core.codecs.base import AudioCodec, AudioCodecConfig
from uniform_core.codecs.dct import dct_matrix, kept_rows, rank_frequencies
from uniform_core.codecs.mel import LOG_MEL_FLOOR
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy_name
from uniform_core.spec import AVSpec
from uniform_core.types import Count

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = lazy_name("torch", "Tensor")

VERSION = 1

# Half-way between the floor and amplitude 1, in nats: loud and silent bins get opposite signs.
_CENTRE = LOG_MEL_FLOOR / 2
# Weights of `rank_frequencies` for (time, mel); measured in docs/experiments.md.
_WEIGHTS = (3.0, 1.0)


class DctMelCodec(AudioCodec):
    """An orthonormal projection of the log-mel about its centre; never below the floor on the way back."""

    def __init__(self, block_TF: tuple[int, int], rows_KD: Tensor) -> None:
        self._block, self._rows_KD = block_TF, rows_KD

    def encode(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B C t f"]:
        p, q = self._block
        blocks = rearrange(mel_BTF - _CENTRE, "b (t p) (f q) -> b t f (p q)", p=p, q=q)
        return rearrange(blocks @ self._rows_KD.to(blocks).T, "b t f k -> b k t f").contiguous()

    def decode(self, latent_BCTF: Float[Tensor, "B C t f"]) -> Float[Tensor, "B T F"]:
        p, q = self._block
        blocks = rearrange(latent_BCTF, "b k t f -> b t f k") @ self._rows_KD.to(latent_BCTF)
        mel_BTF = rearrange(blocks, "b t f (p q) -> b (t p) (f q)", p=p, q=q) + _CENTRE
        return mel_BTF.clamp(min=LOG_MEL_FLOOR)


class DctMelConfig(AudioCodecConfig):
    """`keep` cosines of each block of `block_TF` log-mel values become the channels of the latent."""

    kind: Literal["dct_mel"] = "dct_mel"
    block_TF: tuple[Count, Count] = (8, 16)
    keep: Count = 16

    @model_validator(mode="after")
    def _keeps_what_there_is(self) -> DctMelConfig:
        if self.keep > math.prod(self.block_TF):
            raise ValueError(f"keep {self.keep} is more than the {math.prod(self.block_TF)} values of a block")
        return self

    def latent_shape_CTF(self, spec: AVSpec) -> tuple[int, int, int]:
        (frames, bins), (p, q) = spec.mel_shape_TF, self.block_TF
        if frames % p or bins % q:
            raise ConfigError(
                "codec dct_mel",
                expected=f"mel frames and bins that are multiples of block_TF {self.block_TF}",
                found=f"{(frames, bins)}",
                fix="Change the spec or block_TF.",
            )
        return (self.keep, frames // p, bins // q)

    def fingerprint_params(self) -> dict[str, Any]:
        return {**super().fingerprint_params(), "version": VERSION, "mel_version": mel.VERSION}

    def build(self, spec: AVSpec) -> DctMelCodec:
        self.latent_shape_CTF(spec)
        matrices = [dct_matrix(size) for size in self.block_TF]
        frequencies = rank_frequencies(self.block_TF, _WEIGHTS, keep=self.keep)
        return DctMelCodec(self.block_TF, kept_rows(matrices, frequencies))
