"""Rectified flow: the network says the velocity from data to noise. Not the paper's; small models learn it sooner.

Notation: t in [0, 1], z_t = (1 − t) z_0 + t ε, v = ε − z_0. The network reads 1000 t.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Literal

from uniform_core.diffusion.base import Level, Objective, ObjectiveConfig, Prediction, Step, masked_mean
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy, lazy_name
from uniform_core.types import PositiveFloat, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


TIME_SCALE = 1000.0


class RectifiedFlowConfig(ObjectiveConfig):
    """Times of training are logit-normal: t = σ(location + scale · N(0, 1)).

    Tasks that are given a sound or a picture may have a `location_given` of their own: with no text beside it, what
    the given stream tells is learned near noise.
    Sampling goes through equal steps of t, moved to t' = s·t / (1 + (s − 1)·t): a `shift` s above 1 makes short steps
    near noise, where it is decided what a clip shows, and long ones near clean (Esser et al. 2024, Eq. (23)).
    """

    kind: Literal["rectified_flow"] = "rectified_flow"
    location: float = 0.0
    location_given: float | None = None
    scale: PositiveFloat = 1.0
    shift: PositiveFloat = 1.0

    def build(self) -> RectifiedFlow:
        return RectifiedFlow(self)


class RectifiedFlow(Objective):
    """Velocity prediction on straight paths."""

    def __init__(self, config: RectifiedFlowConfig) -> None:
        self.config = config

    @property
    def time_of_noise(self) -> float:
        return TIME_SCALE

    def times_of(self, uniform_B: Tensor, *, task: Task) -> Tensor:
        """Logit-normal times, by the inverse of the normal distribution function."""
        config = self.config
        own = None if task.given is None else config.location_given
        normal = torch.special.ndtri(uniform_B.double().clamp(min=1e-9))
        return TIME_SCALE * torch.sigmoid((config.location if own is None else own) + config.scale * normal).float()

    def noised(self, clean: Tensor, *, noise: Tensor, t_B: Tensor) -> Tensor:
        """z_t = (1 − t) z_0 + t ε."""
        t = (t_B.to(clean) / TIME_SCALE).view(-1, *([1] * (clean.ndim - 1)))
        return torch.lerp(clean, noise, t)

    def loss_terms(
        self, output: Tensor, *, clean: Tensor, noise: Tensor, noisy: Tensor, t_B: Tensor, keep: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The squared error of the velocity; the variance half of the output has no part in it."""
        del noisy, t_B
        velocity, _ = output.chunk(2, dim=1)
        return {"mse": masked_mean((velocity - (noise - clean)).square(), keep)}

    def steps(self, count: int) -> tuple[Step, ...]:
        """From t = 1 to 0, equal steps before the shift."""
        if count < 1:
            raise ConfigError("sampler.steps", expected="at least 1", found=str(count), fix="Use 10 to 50 steps.")
        times = [self._shifted(i / count) for i in range(count, -1, -1)]
        levels = [Level(1 - t, t, TIME_SCALE * t) for t in times]
        return tuple(_step(at, to, after=levels[-2]) for at, to in itertools.pairwise(levels))

    def _shifted(self, t: float) -> float:
        return self.config.shift * t / (1 + (self.config.shift - 1) * t)

    def predict(self, output: Tensor, z: Tensor, at: Level) -> Prediction:
        velocity, variance = output.chunk(2, dim=1)
        return Prediction(z - at.noise * velocity, z + at.signal * velocity, variance)

    def log_variance(self, prediction: Prediction, step: Step) -> Tensor | float:
        """log β̃: a flow says no variance. Biased where steps are few, as Eq. (9) is."""
        del prediction
        return step.log_variance_small


def _step(at: Level, to: Level, *, after: Level) -> Step:
    """The Gaussian posterior between two levels of any path; the last step borrows its log β̃ from `after`."""
    ratio = at.signal / to.signal
    added = at.noise**2 - (ratio * to.noise) ** 2
    small = added * (to.noise or after.noise) ** 2 / at.noise**2
    return Step(
        at,
        to,
        clean_weight=to.signal * added / at.noise**2,
        noisy_weight=ratio * to.noise**2 / at.noise**2,
        log_variance_small=math.log(small),
        log_variance_large=math.log(added),
    )
