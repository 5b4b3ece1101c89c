"""Heun's method on the probability-flow equation dz = d(signal)·z_0 + d(noise)·ε."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from uniform_core.diffusion.base import SamplerConfig, Step, Tensors, Walk
from uniform_core.lazy import lazy_name
from uniform_core.types import Modality

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = lazy_name("torch", "Tensor")


class HeunConfig(SamplerConfig):
    """Second order: two evaluations a step, one in the last."""

    kind: Literal["heun"] = "heun"

    def advance(self, state: Tensors, step: Step, *, walk: Walk) -> dict[Modality, Tensor]:
        here = walk.evaluate(state, step.at)
        ahead = {m: step.to.signal * one.clean + step.to.noise * one.noise for m, one in here.items()}
        if step.is_last:
            return ahead
        there = walk.evaluate(ahead, step.to)
        d_signal, d_noise = step.to.signal - step.at.signal, step.to.noise - step.at.noise
        return {
            m: state[m]
            + d_signal * (here[m].clean + there[m].clean) / 2
            + d_noise * (here[m].noise + there[m].noise) / 2
            for m in here
        }
