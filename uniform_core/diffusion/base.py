"""What objectives and samplers are, and the few values that they exchange.

Notation (paper §3.2): z_0 clean latent, z_t noisy latent, ε noise, t time; at a level, z = signal·z_0 + noise·ε.
A network reads (z_t of what is made, z_0 of what is given, t) and answers with 2C channels of each modality.
Axes: B batch, C channels; latents are [B, C, …] of any modality.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jaxtyping import Bool, Float

from uniform_core.families import Member
from uniform_core.lazy import lazy, lazy_name
from uniform_core.types import Count, Modality, PositiveFloat, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


Tensors = Mapping[Modality, Tensor]
Denoiser = Callable[[Tensors, Tensor], Tensors]  # (latents as they enter, t_B in [0, 1000]) → [B, 2C, …] of each
NoiseSource = Callable[[Tensor], Tensor]  # standard normal noise of the shape of its argument


def noise_of(generator: torch.Generator) -> NoiseSource:
    """Noise of a whole batch from one generator (training: the batch is the unit)."""
    return lambda like: torch.randn(like.shape, generator=generator).to(like)


def noise_of_each(generators: Sequence[torch.Generator]) -> NoiseSource:
    """Noise of each item from a generator of its own: equal to the bit whatever the batch around it."""
    return lambda like: torch.stack([torch.randn(like.shape[1:], generator=g) for g in generators]).to(like)


@dataclass(frozen=True)
class Level:
    """A level of noise, and the time that the network reads there. (1, 0) is clean."""

    signal: float
    noise: float
    time: float


@dataclass(frozen=True)
class Step:
    """One step of sampling, and the posterior q(z_to | z_at, z_0) = N(clean_weight·z_0 + noisy_weight·z_at, σ²).

    log σ² lies between `log_variance_small` (β̃, exact for a known z_0) and `log_variance_large` (β).
    """

    at: Level
    to: Level
    clean_weight: float
    noisy_weight: float
    log_variance_small: float
    log_variance_large: float

    @property
    def is_last(self) -> bool:
        return self.to.noise == 0


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an output says at one level: z_0, ε, and the half of the output that speaks of variance."""

    clean: Tensor
    noise: Tensor
    variance: Tensor

    def clamped(self, limit: float, *, z: Tensor, at: Level) -> Prediction:
        """z_0 kept within ± limit (latents have σ about 1), and ε made to agree with it."""
        clean = self.clean.clamp(-limit, limit)
        return Prediction(clean, (z - at.signal * clean) / at.noise, self.variance)


@dataclass(frozen=True, eq=False)
class TrainingLoss:
    """`total` to differentiate, and its parts, detached: a sum a modality, and named terms such as `video_mse`."""

    total: Tensor
    by_modality: Mapping[Modality, Tensor]
    terms: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(ABC):
    """What the network is taught to say, and how what it says is read."""

    @property
    @abstractmethod
    def time_of_noise(self) -> float:
        """The end of the times that the network reads: clean is 0, this is noise."""

    @abstractmethod
    def times_of(self, uniform_B: Float[Tensor, "B"], *, task: Task) -> Float[Tensor, "B"]:
        """Times of training, of numbers in [0, 1): evenly spread numbers give the times the task's distribution."""

    @abstractmethod
    def noised(self, clean: Float[Tensor, "B *rest"], *, noise: Float[Tensor, "B *rest"], t_B: Tensor) -> Tensor:
        """z_t."""

    @abstractmethod
    def loss_terms(
        self,
        output: Float[Tensor, "B twice_C *rest"],
        *,
        clean: Float[Tensor, "B C *rest"],
        noise: Float[Tensor, "B C *rest"],
        noisy: Float[Tensor, "B C *rest"],
        t_B: Tensor,
        keep: Bool[Tensor, "#B #C *#rest"] | None = None,
    ) -> dict[str, Tensor]:
        """The terms whose sum is the loss of one modality, each [B], means over the elements that `keep` marks."""

    @abstractmethod
    def steps(self, count: int) -> tuple[Step, ...]:
        """The steps from noise to clean. Raises ConfigError where there cannot be that many."""

    def strides(self, count: int) -> tuple[Step, ...]:
        """The same, the last one, to clean, no shorter in time than the others."""
        return self.steps(count)

    @abstractmethod
    def predict(self, output: Tensor, z: Tensor, at: Level) -> Prediction:
        """How an output at a level is read."""

    @abstractmethod
    def log_variance(self, prediction: Prediction, step: Step) -> Tensor | float:
        """log σ² of a random step."""

    def loss_at(
        self,
        denoise: Denoiser,
        clean: Tensors,
        *,
        task: Task,
        t_B: Tensor,
        noise: Tensors,
        learned: Collection[Modality] | None = None,
    ) -> TrainingLoss:
        """Paper Eq. (10) for V2A, (11) for A2V, (12) for T2AV, at given times and noise.

        The given modality enters as z_0, unscaled (literally, Eq. (4) with ε = 0 would fade it out with t), and has no
        loss. A modality's loss is a mean, not the sum of squares that Eq. (10)–(11) print: sums would weigh video
        against audio by their sizes.

        `learned` are those of what the task makes that have a loss; None: all of them.
        """
        noisy = {m: self.noised(clean[m], noise=noise[m], t_B=t_B) for m in task.made}
        outputs = denoise({**clean, **noisy}, t_B)
        sums: dict[Modality, Tensor] = {}
        terms: dict[str, Tensor] = {}
        for m in task.made if learned is None else learned:
            of_m = self.loss_terms(outputs[m], clean=clean[m], noise=noise[m], noisy=noisy[m], t_B=t_B)
            means = {name: term_B.mean() for name, term_B in of_m.items()}
            sums[m] = torch.stack(list(means.values())).sum()
            terms |= {f"{m.value}_{name}": mean.detach() for name, mean in means.items()}
        total = torch.stack(list(sums.values())).sum()
        return TrainingLoss(total, {m: loss.detach() for m, loss in sums.items()}, terms)


class ObjectiveConfig(Member):
    """Which objective; `build()` makes its tables."""

    @abstractmethod
    def build(self) -> Objective: ...


@dataclass(frozen=True, eq=False)
class Walk:
    """What a sampler may ask on its way: predictions of what is made at a level, and fresh noise."""

    objective: Objective
    evaluate: Callable[[Tensors, Level], Mapping[Modality, Prediction]]
    noise: NoiseSource


@runtime_checkable
class Advance(Protocol):
    """What goes one step along a path: (what is made, the step) → what is made, one step cleaner."""

    def __call__(self, state: Tensors, step: Step, *, walk: Walk) -> dict[Modality, Tensor]: ...


class SamplerConfig(Member):
    """How to go from noise to clean. `clamp_x0_sigma` keeps predicted z_0 within that many σ; None leaves it free."""

    steps: Count = 30
    clamp_x0_sigma: PositiveFloat | None = None

    @abstractmethod
    def advance(self, state: Tensors, step: Step, *, walk: Walk) -> dict[Modality, Tensor]:
        """What is made, one step cleaner."""

    def steps_on(self, objective: Objective) -> tuple[Step, ...]:
        """The steps of a path. Raises ConfigError where there cannot be that many."""
        return objective.steps(self.steps)

    def start(self) -> Advance:
        """What takes the steps of one path: `advance`, or for a sampler that looks back, a memory of this path."""
        return self.advance


def masked_mean(values: Float[Tensor, "B *rest"], keep: Tensor | None) -> Tensor:
    """The mean of each sample over the elements that `keep` marks, [B]; NaN for one of which it marks none."""
    if keep is None:
        return values.flatten(1).mean(1)
    weights = keep.expand_as(values).to(values.dtype)
    return (values * weights).flatten(1).sum(1) / weights.flatten(1).sum(1)
