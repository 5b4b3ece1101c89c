"""IDDPM: the network says ε and, on a learned range, the variance (paper §3.2, Eq. (2)–(9)).

Axes: B batch, C channels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from uniform_core.diffusion.base import Level, Objective, ObjectiveConfig, Prediction, Step, masked_mean
from uniform_core.diffusion.gaussian import GaussianTables, Spacing, at_times, spaced_times, strided_times
from uniform_core.lazy import lazy, lazy_name
from uniform_core.types import Count, PositiveFloat, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


Beta = Annotated[float, Field(gt=0, lt=1)]  # a variance added by one step of a process of variance 1
Likelihood = Literal["gaussian", "image_255"]


class IddpmConfig(ObjectiveConfig):
    """Linear betas, ε prediction. Numbers as in Open-Sora's `iddpm`; min-SNR as in Tango, whose notation Eq. (5) has.

    `variance="learned_range"` trains the variance with the variational bound, weighted by `vb_weight`.
    `variance="fixed_small"` is Eq. (9), with ᾱ where it prints α: it is biased where steps are few (at 30 steps even a
    perfect denoiser shrinks a standard deviation of 1 to 0.883 and one of 0.5 to 0.416), so the default is learned.
    `likelihood` is the bound's term at t = 0: `image_255` is the reference's, made for 8-bit pixels.
    """

    kind: Literal["iddpm"] = "iddpm"
    diffusion_steps: Count = 1000
    beta_first: Beta = 1e-4
    beta_last: Beta = 0.02
    variance: Literal["learned_range", "fixed_small"] = "learned_range"
    min_snr: PositiveFloat | None = 5.0
    vb_weight: float = Field(default=1.0, ge=0)
    likelihood: Likelihood = "gaussian"
    spacing: Spacing = "even"

    @classmethod
    def example(cls) -> IddpmConfig:
        return cls()

    def build(self) -> Iddpm:
        """The objective, over betas that rise linearly: the schedule that paper Eq. (2) leaves open."""
        betas = torch.linspace(self.beta_first, self.beta_last, self.diffusion_steps, dtype=torch.float64)
        return Iddpm(self, GaussianTables.of(betas))


class Iddpm(Objective):
    """ε-prediction over given tables."""

    def __init__(self, config: IddpmConfig, tables: GaussianTables) -> None:
        self.config, self.tables = config, tables

    @property
    def time_of_noise(self) -> float:
        return float(self.config.diffusion_steps)

    def times_of(self, uniform_B: Tensor, *, task: Task) -> Tensor:  # noqa: ARG002  (the same for every task)
        """Whole times, all equally probable."""
        return (uniform_B * self.config.diffusion_steps).floor().clamp(max=self.config.diffusion_steps - 1)

    def noised(self, clean: Tensor, *, noise: Tensor, t_B: Tensor) -> Tensor:
        """A draw of q(z_t | z_0), paper Eq. (3), by Eq. (4): z_t = √ᾱ_t z_0 + √(1 − ᾱ_t) ε."""
        signal = at_times(self.tables.alphas_cumprod.sqrt(), t_B, like=clean)
        return signal * clean + at_times((1 - self.tables.alphas_cumprod).sqrt(), t_B, like=clean) * noise

    def loss_terms(
        self, output: Tensor, *, clean: Tensor, noise: Tensor, noisy: Tensor, t_B: Tensor, keep: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Paper Eq. (5) of one modality, γ_t = min(SNR, γ)/SNR, and the bound, whose gradient reaches variance alone.

        Departs from the print in that the squared error is a mean and not a sum (see `loss_at`).
        """
        said_noise, said_variance = output.chunk(2, dim=1)
        mse_B = masked_mean((noise - said_noise).square(), keep)
        if self.config.min_snr is not None:
            mse_B = mse_B * min_snr_weight(self.tables, t_B, limit=self.config.min_snr)
        if self.config.variance == "fixed_small":
            return {"mse": mse_B}
        bits = bound_bits(
            self.tables, clean=clean, noisy=noisy, said_noise=said_noise.detach(), said_variance=said_variance,
            t_B=t_B, likelihood=self.config.likelihood,
        )  # fmt: skip
        return {"mse": mse_B, "vb": self.config.vb_weight * masked_mean(bits, keep)}

    def steps(self, count: int) -> tuple[Step, ...]:
        return self._steps_over(spaced_times(self.config.diffusion_steps, count, spacing=self.config.spacing))

    def strides(self, count: int) -> tuple[Step, ...]:
        return self._steps_over(strided_times(self.config.diffusion_steps, count, spacing=self.config.spacing))

    def _steps_over(self, kept: list[int]) -> tuple[Step, ...]:
        return self.tables.respaced(kept).steps(kept)

    def predict(self, output: Tensor, z: Tensor, at: Level) -> Prediction:
        """z_0 = (z_t − √(1 − ᾱ_t) ε) / √ᾱ_t: paper Eq. (4) read backwards."""
        noise, variance = output.chunk(2, dim=1)
        return Prediction((z - at.noise * noise) / at.signal, noise, variance)

    def log_variance(self, prediction: Prediction, step: Step) -> Tensor | float:
        """log σ²: between log β̃ and log β as the network says, or log β̃ of paper Eq. (9)."""
        if self.config.variance == "fixed_small":
            return step.log_variance_small
        share = (prediction.variance + 1) / 2
        return share * step.log_variance_large + (1 - share) * step.log_variance_small


def min_snr_weight(tables: GaussianTables, t_B: Tensor, *, limit: float) -> Tensor:
    """min(SNR, limit) / SNR, [B] float32 (the γ_t of paper Eq. (5); Hang et al. 2023)."""
    snr = tables.alphas_cumprod / (1 - tables.alphas_cumprod)
    return (snr.clamp(max=limit) / snr).to(t_B.device)[t_B.long()].float()


def bound_bits(
    tables: GaussianTables,
    *,
    clean: Tensor,
    noisy: Tensor,
    said_noise: Tensor,
    said_variance: Tensor,
    t_B: Tensor,
    likelihood: Likelihood,
) -> Tensor:
    """The term of the variational bound at t, in bits, element by element: a KL, or at t = 0 a likelihood."""

    def at(table: Tensor) -> Tensor:
        return at_times(table, t_B, like=clean)

    said_clean = at(tables.sqrt_recip_alphas_cumprod) * noisy - at(tables.sqrt_recipm1_alphas_cumprod) * said_noise
    clean_weight, noisy_weight = at(tables.posterior_mean_coef1), at(tables.posterior_mean_coef2)
    true_mean = clean_weight * clean + noisy_weight * noisy
    said_mean = clean_weight * said_clean + noisy_weight * noisy
    small, large = at(tables.posterior_log_variance_clipped), at(tables.betas.log())
    share = (said_variance + 1) / 2
    said_log = share * large + (1 - share) * small
    kl = 0.5 * (said_log - small - 1 + (small - said_log).exp() + (true_mean - said_mean).square() * (-said_log).exp())
    nll = (_gaussian_nll if likelihood == "gaussian" else _image_nll)(clean, said_mean, said_log)
    is_first = (t_B == 0).view(-1, *([1] * (clean.ndim - 1)))
    return torch.where(is_first, nll, kl) / math.log(2)


def _gaussian_nll(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * (math.log(2 * math.pi) + log_variance + (x - mean).square() * (-log_variance).exp())


def _image_nll(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The probability of x's bin of 2/255 in [−1, 1], open at the ends (the reference's form)."""

    def below(edge: Tensor) -> Tensor:  # tanh approximation of the normal distribution function, as the reference's
        u = edge * (-0.5 * log_variance).exp()
        return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))

    upper, lower = below(x - mean + 1 / 255), below(x - mean - 1 / 255)
    probability = torch.where(x < -0.999, upper, torch.where(x > 0.999, 1 - lower, upper - lower))
    return -probability.clamp(min=1e-12).log()
