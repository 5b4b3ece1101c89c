"""DDIM: a step along predicted z_0 and ε, with a share η of the randomness of ancestral sampling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from uniform_core.diffusion.base import SamplerConfig, Step, Tensors, Walk
from uniform_core.lazy import lazy_name
from uniform_core.types import Fraction, Modality

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = lazy_name("torch", "Tensor")


class DdimConfig(SamplerConfig):
    """Song et al. 2021, Eq. (12). `eta` 0 draws no noise; 1 draws β̃."""

    kind: Literal["ddim"] = "ddim"
    eta: Fraction = 0.0

    def advance(self, state: Tensors, step: Step, *, walk: Walk) -> dict[Modality, Tensor]:
        """z_to = signal · z_0 + √(noise² − σ²) · ε + σ · fresh noise."""
        sigma = 0.0 if step.is_last else self.eta * math.exp(0.5 * step.log_variance_small)
        kept = math.sqrt(max(step.to.noise**2 - sigma**2, 0.0))
        cleaner = {}
        for modality, said in walk.evaluate(state, step.at).items():
            mean = step.to.signal * said.clean + kept * said.noise
            cleaner[modality] = mean + sigma * walk.noise(mean) if sigma else mean
        return cleaner
