"""Every sampler on every objective, with a perfect network.

For z_0 ~ N(μ, s²) the best network is a closed form: given z = a z_0 + b ε, z_0 and ε are jointly Gaussian with z. So
every pair must reach the moments μ and s, and a new member is tested the moment it is imported.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from uniform_core.diffusion import (
    OBJECTIVES,
    SAMPLERS,
    AncestralConfig,
    DdimConfig,
    DpmSolverConfig,
    EulerConfig,
    HeunConfig,
    IddpmConfig,
    Objective,
    ObjectiveConfig,
    RectifiedFlowConfig,
    SamplerConfig,
    sample,
)
from uniform_core.diffusion.base import Denoiser, Step, Tensors, noise_of
from uniform_core.diffusion.rectified_flow import RectifiedFlow
from uniform_core.seeds import torch_generator
from uniform_core.types import Modality

MEAN, STD = 0.6, 0.5
VIDEO = Modality.VIDEO
N = 20_000  # the standard error of the mean is 0.0035, of the deviation 0.0025
pairs = pytest.mark.parametrize(
    ("objective", "sampler"),
    list(itertools.product([one.example() for one in OBJECTIVES], [one.example() for one in SAMPLERS])),
    ids=lambda member: member.kind,
)


def perfect(objective: Objective, steps: Sequence[Step], *, std: float = STD) -> Denoiser:
    """The best answer at the levels of these steps: E[ε | z] or E[v | z], and the true variance of each step."""
    by_time: dict[float, Step] = {float(torch.tensor(step.at.time)): step for step in steps}

    def denoise(latents: Tensors, t_B: Tensor) -> Tensors:
        z = latents[VIDEO].double()
        step = by_time[float(t_B[0])]
        a, b = step.at.signal, step.at.noise
        spread = a**2 * std**2 + b**2
        clean = MEAN + a * std**2 / spread * (z - a * MEAN)
        noise = (z - a * clean) / b
        # Var(z_to | z_at) = β̃ + clean_weight² Var(z_0 | z_at)
        variance = math.exp(step.log_variance_small) + step.clean_weight**2 * std**2 * b**2 / spread
        low, high = step.log_variance_small, step.log_variance_large
        share = (math.log(variance) - low) / (high - low) if high > low else 0.0
        said = noise - clean if isinstance(objective, RectifiedFlow) else noise
        return {VIDEO: torch.cat([said, torch.full_like(said, 2 * share - 1)], dim=1).float()}

    return denoise


def made(config: ObjectiveConfig, sampler: SamplerConfig, *, std: float = STD, seed: int = 0) -> Tensor:
    objective = config.build()
    noise = noise_of(torch_generator("oracle", seed))
    start = {VIDEO: noise(torch.empty(N, 1, 1, 1, 1))}
    denoise = perfect(objective, sampler.steps_on(objective), std=std)
    return sample(objective, denoise, sampler, start=start, given={}, noise=noise)[VIDEO]


@pairs
def test_a_perfect_network_reaches_the_moments(objective: ObjectiveConfig, sampler: SamplerConfig) -> None:
    result = made(objective, sampler.model_copy(update={"steps": 150}))
    assert abs(float(result.mean()) - MEAN) < 0.015
    assert abs(float(result.std()) - STD) < 0.015


@pairs
def test_more_steps_come_closer(objective: ObjectiveConfig, sampler: SamplerConfig) -> None:
    """A wrong coefficient does not go away with the step size; discretisation does."""
    errors = [
        abs(float(made(objective, sampler.model_copy(update={"steps": steps})).std()) - STD) for steps in (8, 150)
    ]
    assert errors[1] < max(errors[0], 0.01)


@pairs
def test_the_same_noise_gives_the_same_result(objective: ObjectiveConfig, sampler: SamplerConfig) -> None:
    short = sampler.model_copy(update={"steps": 5})
    assert torch.equal(made(objective, short), made(objective, short))
    assert not torch.equal(made(objective, short), made(objective, short, seed=1))


@pairs
def test_a_clamp_bounds_the_result(objective: ObjectiveConfig, sampler: SamplerConfig) -> None:
    clamped = sampler.model_copy(update={"steps": 20, "clamp_x0_sigma": 0.5})
    assert float(made(objective, clamped).abs().max()) <= 0.5 + 1e-5


@pairs
def test_one_step_goes_to_the_mean(objective: ObjectiveConfig, sampler: SamplerConfig) -> None:
    """Of pure noise the best network can say no more than the mean of the data."""
    result = made(objective, sampler.model_copy(update={"steps": 1}))
    assert abs(float(result.mean()) - MEAN) < 0.01
    assert float(result.std()) < 0.01


@pairs
def test_what_is_given_is_shown_clean_at_every_evaluation(objective: ObjectiveConfig, sampler: SamplerConfig) -> None:
    """Paper §3.1: no step adds noise to the given modality, and no step may move it."""
    noise = noise_of(torch_generator("given"))
    given, audio = noise(torch.empty(3, 2, 4)), Modality.AUDIO
    before, shown = given.clone(), []

    def denoise(latents: Tensors, t_B: Tensor) -> Tensors:
        shown.append(latents[VIDEO].clone())
        return {m: torch.cat([z, z], dim=1) for m, z in latents.items()}

    start = {audio: noise(torch.empty(3, 2, 4))}
    short = sampler.model_copy(update={"steps": 4})
    result = sample(objective.build(), denoise, short, start=start, given={VIDEO: given}, noise=noise)
    assert set(result) == {audio}
    assert len(shown) >= 4
    assert all(torch.equal(one, before) for one in shown)


@pytest.mark.parametrize(("std", "shrunk"), [(1.0, 0.883), (0.5, 0.416)])
def test_learned_variance_keeps_the_spread_that_the_fixed_one_loses(std: float, shrunk: float) -> None:
    """Corrections.md: what the fixed β̃ of Eq. (9) makes of a deviation in 30 steps, with a perfect network."""
    sampler = AncestralConfig(steps=30)
    assert abs(float(made(IddpmConfig(), sampler, std=std).std()) - std) < 0.01
    assert abs(float(made(IddpmConfig(variance="fixed_small"), sampler, std=std).std()) - shrunk) < 0.006


def test_euler_is_ddim_without_randomness() -> None:
    for config in (member.example() for member in OBJECTIVES):
        euler, ddim = (made(config, kind(steps=7)) for kind in (EulerConfig, DdimConfig))
        torch.testing.assert_close(euler, ddim, rtol=1e-6, atol=1e-6)


def path_error(config: ObjectiveConfig, sampler: SamplerConfig) -> float:
    """Mean distance from the exact end of each path: the probability flow keeps a point's place in its Gaussian."""
    first = sampler.steps_on(config.build())[0].at
    start = noise_of(torch_generator("oracle", 0))(torch.empty(N, 1, 1, 1, 1))
    place = (start - first.signal * MEAN) / math.hypot(first.signal * STD, first.noise)
    return float((made(config, sampler) - (MEAN + STD * place)).abs().mean())


@pytest.mark.parametrize("config", [member.example() for member in OBJECTIVES], ids=lambda member: member.kind)
def test_orders_of_the_methods(config: ObjectiveConfig) -> None:
    """Twice the steps halve Euler's error and quarter Heun's; any wrong weight would stop that."""
    for kind, factor in ((EulerConfig, 2.0), (DdimConfig, 2.0), (HeunConfig, 4.0)):
        coarse, fine = (path_error(config, kind(steps=steps)) for steps in (40, 80))
        assert fine < coarse / (0.8 * factor)
        assert fine < 0.02


@pytest.mark.parametrize("config", [member.example() for member in OBJECTIVES], ids=lambda member: member.kind)
def test_dpm_solver_is_nearer_for_the_same_work_and_of_second_order(config: ObjectiveConfig) -> None:
    """Four times the steps leave a tenth of its error: 1/16 late, for the steps at either end are of first order."""
    coarse, fine = (path_error(config, DpmSolverConfig(steps=steps)) for steps in (40, 160))
    assert fine < coarse / 9
    assert path_error(config, DpmSolverConfig()) < path_error(config, DdimConfig(steps=20)) / 2.5


def test_full_eta_is_as_random_as_the_fixed_variance() -> None:
    ancestral = made(IddpmConfig(variance="fixed_small"), AncestralConfig(steps=30))
    full = made(IddpmConfig(variance="fixed_small"), DdimConfig(steps=30, eta=1.0))
    torch.testing.assert_close(full, ancestral, rtol=0, atol=2e-5)


@pytest.mark.parametrize("config", [member.example() for member in OBJECTIVES], ids=lambda member: member.kind)
def test_the_loss_is_least_for_the_perfect_network(config: ObjectiveConfig) -> None:
    objective = config.build()
    steps = objective.steps(10)
    at = steps[4].at
    clean = MEAN + STD * torch.randn(N, 1, 1, 1, 1, generator=torch_generator("clean"))
    noise = torch.randn(clean.shape, generator=torch_generator("noise"))
    t_B = torch.full((N,), at.time)
    noisy = objective.noised(clean, noise=noise, t_B=t_B)
    torch.testing.assert_close(noisy, at.signal * clean + at.noise * noise, rtol=1e-5, atol=1e-5)
    best = perfect(objective, steps)({VIDEO: noisy}, t_B)[VIDEO]

    def loss(output: Tensor) -> float:
        terms = objective.loss_terms(output, clean=clean, noise=noise, noisy=noisy, t_B=t_B)
        return float(terms["mse"].mean())

    for change in (0.1 * torch.ones_like(best), 0.1 * best, -0.1 * best):
        assert loss(best) < loss(best + change)


@pytest.mark.parametrize("sampler", [EulerConfig(steps=150), HeunConfig(steps=40)], ids=lambda one: one.kind)
def test_shifted_steps_reach_the_moments_too(sampler: SamplerConfig) -> None:
    result = made(RectifiedFlowConfig(shift=3.0), sampler)
    assert abs(float(result.mean()) - MEAN) < 0.015
    assert abs(float(result.std()) - STD) < 0.015


def test_a_shift_makes_short_steps_near_noise() -> None:
    """t' = 3t / (1 + 2t): of four equal steps the first ends at .9, the last begins at .5."""
    steps = RectifiedFlowConfig(shift=3.0).build().steps(4)
    assert [step.at.noise for step in steps] == pytest.approx([1.0, 0.9, 0.75, 0.5])
    assert [step.at.time for step in steps] == pytest.approx([1000.0, 900.0, 750.0, 500.0])
    assert all(step.at.signal + step.at.noise == pytest.approx(1.0) for step in steps)
    assert steps[-1].is_last
