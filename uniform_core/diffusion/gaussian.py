"""The tables of a Gaussian diffusion, float64, and its respacing (IDDPM; paper Eq. (2)–(9)).

Notation: β_t variance added by step t, ᾱ_t = Π (1 − β), β̃_t posterior variance. Indices t = 0 … T − 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxtyping import Float

from uniform_core.diffusion.base import Level, Step
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy, lazy_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


Spacing = Literal["even", "ddim"]


@dataclass(frozen=True, eq=False)
class GaussianTables:
    """Everything that depends on t alone. Float64: float32 is wrong by 1.6e-4 in the posterior near t = 0."""

    betas: Float[Tensor, "T"]
    alphas_cumprod: Float[Tensor, "T"]
    alphas_cumprod_prev: Float[Tensor, "T"]
    sqrt_recip_alphas_cumprod: Float[Tensor, "T"]
    sqrt_recipm1_alphas_cumprod: Float[Tensor, "T"]
    posterior_variance: Float[Tensor, "T"]
    posterior_log_variance_clipped: Float[Tensor, "T"]
    posterior_mean_coef1: Float[Tensor, "T"]
    posterior_mean_coef2: Float[Tensor, "T"]

    @classmethod
    def of(cls, betas: Float[Tensor, "T"]) -> GaussianTables:
        """The tables of the β_t of Eq. (2), and with them the ᾱ_t of Eq. (3).

        Departs from the printed Eq. (9), whose α must be ᾱ: β̃_t = (1 − ᾱ_{t−1}) / (1 − ᾱ_t) · β_t.
        """
        betas = betas.to(torch.float64)
        signal = torch.cumprod(1 - betas, dim=0)
        signal_prev = torch.cat([signal.new_ones(1), signal[:-1]])
        variance = betas * (1 - signal_prev) / (1 - signal)
        first = variance[1:2] if len(betas) > 1 else betas  # β̃_0 is zero; IDDPM borrows β̃_1, a lone step has β_0
        return cls(
            betas=betas,
            alphas_cumprod=signal,
            alphas_cumprod_prev=signal_prev,
            sqrt_recip_alphas_cumprod=(1 / signal).sqrt(),
            sqrt_recipm1_alphas_cumprod=(1 / signal - 1).sqrt(),
            posterior_variance=variance,
            posterior_log_variance_clipped=torch.cat([first, variance[1:]]).log(),
            posterior_mean_coef1=betas * signal_prev.sqrt() / (1 - signal),
            posterior_mean_coef2=(1 - signal_prev) * (1 - betas).sqrt() / (1 - signal),
        )

    def respaced(self, kept: Sequence[int]) -> GaussianTables:
        """The tables of the shorter process that visits only these indices (ascending)."""
        signal = self.alphas_cumprod[list(kept)]
        return GaussianTables.of(1 - signal / torch.cat([signal.new_ones(1), signal[:-1]]))

    def steps(self, times: Sequence[int]) -> tuple[Step, ...]:
        """The steps of sampling, noisiest first: the factors of Eq. (6). `times` are what the network reads at each."""
        levels = [Level(1.0, 0.0, 0.0)]
        for signal_squared, time in zip(self.alphas_cumprod.tolist(), times, strict=True):
            levels.append(Level(signal_squared**0.5, (1 - signal_squared) ** 0.5, float(time)))
        rows = zip(
            levels[1:],
            levels[:-1],
            self.posterior_mean_coef1.tolist(),
            self.posterior_mean_coef2.tolist(),
            self.posterior_log_variance_clipped.tolist(),
            self.betas.log().tolist(),
            strict=True,
        )
        return tuple(Step(*row) for row in rows)[::-1]


def at_times(table: Float[Tensor, "T"], t_B: Tensor, *, like: Float[Tensor, "B *rest"]) -> Tensor:
    """Entries of a table at the (whole) times of a batch, in the type of `like` and broadcast over it."""
    entries = table.to(t_B.device)[t_B.long()].to(like.dtype)
    return entries.view(-1, *([1] * (like.ndim - 1)))


def spaced_times(total: int, count: int, *, spacing: Spacing = "even") -> list[int]:
    """`count` of the times 0 … total − 1, ascending.

    `even`: from first to last at equal, rounded strides, as IDDPM's respacing of one section adds them up (one step
    starts at the last time; IDDPM's would start at the first, which is clean). `ddim`: multiples of the whole stride
    total // count from 0, which leaves the noisiest out (Song et al. 2021; Open-Sora rounds that stride up, and
    refuses most counts); beyond half of the times its stride is 1 and it would never come near noise, so it is refused.
    """
    if not 1 <= count <= total:
        raise ConfigError(
            "sampler.steps", expected=f"1 to {total} steps", found=str(count), fix=f"Use at most {total} steps."
        )
    if spacing == "ddim":
        if total // 2 < count < total:
            raise ConfigError(
                "sampler.steps",
                expected=f"at most {total // 2} steps, or all {total}, with spacing ddim",
                found=str(count),
                fix="Use fewer steps, or objective.spacing even.",
            )
        return list(range(0, total - total % count, total // count))
    if count == 1:
        return [total - 1]
    stride = (total - 1) / (count - 1)
    return [round(place) for place in itertools.accumulate(itertools.repeat(stride, count - 1), initial=0.0)]


def strided_times(total: int, count: int, *, spacing: Spacing = "even") -> list[int]:
    """`count` of the times 1 … total − 1, ascending, at equal strides, of which the first leads to clean.

    `spaced_times` goes to clean from the first time, which has next to no noise, in a stride of its own. These are the
    times of diffusers' spacings `linspace` (here `even`, up to the last time) and `leading` (`ddim`).
    """
    most = (total if spacing == "even" else total // 2) - 1
    if not 1 <= count <= most:
        raise ConfigError(
            "sampler.steps",
            expected=f"1 to {most} steps with this sampler and spacing {spacing}",
            found=str(count),
            fix=f"Use at most {most} steps.",
        )
    stride = (total - 1) / count if spacing == "even" else total // (count + 1)
    return [round(stride * place) for place in range(1, count + 1)]
