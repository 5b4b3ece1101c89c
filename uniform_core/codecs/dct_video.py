"""A video codec without weights: the strongest cosines of each block.

Axes: B batch, C channels, T time, H height, W width, K kept, D values of a block.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from einops import rearrange
from jaxtyping import Float
from pydantic import model_validator

from uniform_core.codecs.base import VideoCodec, VideoCodecConfig
from uniform_core.codecs.dct import dct_matrix, kept_rows, rank_frequencies
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy, lazy_name
from uniform_core.spec import AVSpec
from uniform_core.types import Count

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")

VERSION = 1

# Luma, blue against yellow, red against green: the axes of YCbCr made orthonormal, so that keeping all is exact.
_OPPONENT = (
    (1 / math.sqrt(3),) * 3,
    (-1 / math.sqrt(6), -1 / math.sqrt(6), 2 / math.sqrt(6)),
    (1 / math.sqrt(2), -1 / math.sqrt(2), 0.0),
)
# Weights of `rank_frequencies` for (colour axis, time, height, width); measured in docs/experiments.md.
_WEIGHTS = (1.0, 2.0, 1.5, 1.5)


class DctVideoCodec(VideoCodec):
    """An orthonormal projection: decode(encode(x)) is the nearest clip that the kept cosines can say."""

    def __init__(self, block_THW: tuple[int, int, int], rows_KD: Tensor, *, chunk: int | None = None) -> None:
        self._block, self._rows_KD, self._chunk = block_THW, rows_KD, chunk

    def encode(self, video_BCTHW: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B C t h w"]:
        p, q, r = self._block
        whole = video_BCTHW if self._chunk is None else _first_repeated(video_BCTHW, chunk=self._chunk, times=p)
        blocks = rearrange(whole, "b c (t p) (h q) (w r) -> b t h w (c p q r)", p=p, q=q, r=r)
        return rearrange(blocks @ self._rows_KD.to(blocks).T, "b t h w k -> b k t h w").contiguous()

    def decode(self, latent_BCTHW: Float[Tensor, "B C t h w"]) -> Float[Tensor, "B 3 T H W"]:
        p, q, r = self._block
        blocks = rearrange(latent_BCTHW, "b k t h w -> b t h w k") @ self._rows_KD.to(latent_BCTHW)
        video = rearrange(blocks, "b t h w (c p q r) -> b c (t p) (h q) (w r)", c=3, p=p, q=q, r=r)
        if self._chunk is not None:
            video = rearrange(video, "b c (n k) h w -> b c n k h w", k=self._chunk + p - 1)[:, :, :, p - 1 :].flatten(
                2, 3
            )
        return video.clamp(-1.0, 1.0)


def _first_repeated(video_BCTHW: Tensor, *, chunk: int, times: int) -> Tensor:
    """The video with the first frame of each chunk `times` times, so that it fills a block alone."""
    chunks = rearrange(video_BCTHW, "b c (n k) h w -> b c n k h w", k=chunk)
    first = chunks[:, :, :, :1].expand(-1, -1, -1, times - 1, -1, -1)
    return torch.cat([first, chunks], dim=3).flatten(2, 3)


class DctVideoConfig(VideoCodecConfig):
    """`keep` cosines of each block of 3 x `block_THW` values become the channels of the latent.

    With `chunk_frames` latent frames lie in time as those of Open-Sora's VAE: in each chunk the first picture stands
    alone, the others follow in whole blocks (17 pictures in blocks of 4 are 5 latent frames).
    """

    kind: Literal["dct_video"] = "dct_video"
    block_THW: tuple[Count, Count, Count] = (4, 8, 8)
    keep: Count = 16
    chunk_frames: Count | None = None

    @model_validator(mode="after")
    def _keeps_what_there_is(self) -> DctVideoConfig:
        if self.keep > self.block_values:
            raise ValueError(f"keep {self.keep} is more than the {self.block_values} values of a block")
        if self.chunk_frames is not None and (self.chunk_frames - 1) % self.block_THW[0]:
            raise ValueError(f"chunk_frames {self.chunk_frames} must be 1 and whole blocks of {self.block_THW[0]}")
        return self

    @property
    def block_values(self) -> int:
        return 3 * math.prod(self.block_THW)

    def latent_shape_CTHW(self, spec: AVSpec) -> tuple[int, int, int, int]:
        _, *size = spec.pixel_shape_CTHW
        if self.chunk_frames is not None:
            chunks, rest = divmod(size[0], self.chunk_frames)
            if rest:
                raise ConfigError(
                    "codec dct_video",
                    expected=f"a multiple of chunk_frames {self.chunk_frames} frames",
                    found=str(size[0]),
                    fix="Change the spec or chunk_frames.",
                )
            size[0] += chunks * (self.block_THW[0] - 1)  # each first picture fills a block
        if any(whole % part for whole, part in zip(size, self.block_THW, strict=True)):
            raise ConfigError(
                "codec dct_video",
                expected=f"frames, height and width that are multiples of block_THW {self.block_THW}",
                found=f"{tuple(size)}",
                fix="Change the spec or block_THW.",
            )
        t, h, w = (whole // part for whole, part in zip(size, self.block_THW, strict=True))
        return (self.keep, t, h, w)

    def fingerprint_params(self) -> dict[str, Any]:
        params = {**super().fingerprint_params(), "version": VERSION}
        if self.chunk_frames is None:
            del params["chunk_frames"]
        return params

    def build(self, spec: AVSpec) -> DctVideoCodec:
        self.latent_shape_CTHW(spec)
        matrices = [torch.tensor(_OPPONENT, dtype=torch.float64), *map(dct_matrix, self.block_THW)]
        frequencies = rank_frequencies((3, *self.block_THW), _WEIGHTS, keep=self.keep)
        return DctVideoCodec(self.block_THW, kept_rows(matrices, frequencies), chunk=self.chunk_frames)
