"""Ancestral sampling: random steps of the reverse process (paper Eq. (6)–(8))."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from uniform_core.diffusion.base import SamplerConfig, Step, Tensors, Walk
from uniform_core.lazy import lazy, lazy_name
from uniform_core.types import Modality

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


class AncestralConfig(SamplerConfig):
    """DDPM's sampler; the paper's, with 30 steps."""

    kind: Literal["ancestral"] = "ancestral"

    def advance(self, state: Tensors, step: Step, *, walk: Walk) -> dict[Modality, Tensor]:
        """z_to ~ N(μ, σ²), paper Eq. (7). μ is Eq. (8), written as the posterior mean at the predicted z_0.

        σ² is the objective's: the β̃ of Eq. (9), or what the network says. The last step adds no noise.
        """
        cleaner = {}
        for modality, said in walk.evaluate(state, step.at).items():
            z = state[modality]
            mean = step.clean_weight * said.clean + step.noisy_weight * z
            if step.is_last:
                cleaner[modality] = mean
                continue
            log_variance = walk.objective.log_variance(said, step)
            std = (0.5 * log_variance).exp() if isinstance(log_variance, torch.Tensor) else math.exp(0.5 * log_variance)
            cleaner[modality] = mean + std * walk.noise(z)
        return cleaner
