"""How large the two parts of a video VAE are, and how many latent frames they make of a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from uniform_core.types import Count, Frozen


class SpatialVaeSize(Frozen):
    """A 2-D autoencoder of single frames; the defaults are SDXL's. Each level but the last halves height and width."""

    channels: Count = 4  # of the latent
    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = (128, 256, 512, 512)
    layers: Count = 2  # residual blocks of a level of the encoder
    groups: Count = 32

    @model_validator(mode="after")
    def _groups_fit(self) -> SpatialVaeSize:
        _check_groups(self.widths, self.groups)
        return self

    @property
    def factor(self) -> int:
        """Pixels along one side of a latent pixel."""
        return 1 << (len(self.widths) - 1)


class TemporalVaeSize(Frozen):
    """A causal 3-D autoencoder of latent frames; the defaults are Open-Sora 1.2's."""

    filters: Count = 128
    multipliers: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 2, 4)
    halves_time: tuple[bool, ...] = (False, True, True)  # after each level of the encoder but the last
    res_blocks: Count = 4  # of a level, and between encoder and moments
    groups: Count = 32
    chunk_frames: Count = 17  # encoded on their own

    @model_validator(mode="after")
    def _levels_fit(self) -> TemporalVaeSize:
        if len(self.halves_time) != len(self.multipliers) - 1:
            raise ValueError(
                f"halves_time has {len(self.halves_time)} values, but there are {len(self.multipliers) - 1} steps "
                f"between the {len(self.multipliers)} levels of multipliers"
            )
        _check_groups((self.filters, *self.widths), self.groups)
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.filters * multiplier for multiplier in self.multipliers)

    @property
    def factor(self) -> int:
        """Frames of one latent frame."""
        return 1 << sum(self.halves_time)

    def padding(self, frames: int) -> int:
        """Zero frames that are put in front of a chunk, so that whole latent frames come out."""
        return -frames % self.factor

    def chunks(self, frames: int) -> list[tuple[slice, slice]]:
        """Each chunk of a clip: its frames, and its latent frames, of which the first may stand for fewer frames.

        >>> [(at.stop, into.stop) for at, into in TemporalVaeSize().chunks(39)]
        [(17, 5), (34, 10), (39, 12)]
        """
        found, made = [], 0
        for start in range(0, frames, self.chunk_frames):
            stop = min(start + self.chunk_frames, frames)
            end = made + math.ceil((stop - start) / self.factor)
            found.append((slice(start, stop), slice(made, end)))
            made = end
        return found

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a clip."""
        _, last = self.chunks(frames)[-1]
        return int(last.stop)


def _check_groups(widths: Sequence[int], groups: int) -> None:
    if wrong := [width for width in widths if width % groups]:
        raise ValueError(f"widths {wrong} must be multiples of groups {groups}, the groups of each norm")
