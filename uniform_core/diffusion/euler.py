"""Euler's method on the probability-flow equation dz = d(signal)·z_0 + d(noise)·ε."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from uniform_core.diffusion.base import SamplerConfig, Step, Tensors, Walk
from uniform_core.lazy import lazy_name
from uniform_core.types import Modality

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = lazy_name("torch", "Tensor")


class EulerConfig(SamplerConfig):
    """First order. On rectified flow z + (t' − t)·v; on `iddpm` the same as DDIM with η = 0."""

    kind: Literal["euler"] = "euler"

    def advance(self, state: Tensors, step: Step, *, walk: Walk) -> dict[Modality, Tensor]:
        said = walk.evaluate(state, step.at)
        return {m: step.to.signal * one.clean + step.to.noise * one.noise for m, one in said.items()}
