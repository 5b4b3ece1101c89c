"""The equations of the paper as they are printed (§3.2 and §3.3.4), beside the functions that name them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from model_cases import random_latent
from torch import Tensor

from uniform_core.diffusion import AncestralConfig, DdimConfig, IddpmConfig, sample
from uniform_core.diffusion.base import Level, Prediction, Tensors, Walk
from uniform_core.types import Modality, Task

VIDEO = Modality.VIDEO
CONFIG = IddpmConfig(variance="fixed_small", min_snr=None)
OBJECTIVE = CONFIG.build()
TABLES = OBJECTIVE.tables
Z, EPSILON, CLEAN = (random_latent(2, seed=seed).video_BCTHW.double() for seed in (1, 2, 3))


def test_equation_2_repeated_is_equation_3() -> None:
    """A step scales by √(1 − β) and adds variance β: t of them leave √ᾱ_t of z_0, and variance 1 − ᾱ_t."""
    signal, variance = 1.0, 0.0
    for beta, kept in zip(TABLES.betas.tolist(), TABLES.alphas_cumprod.tolist(), strict=True):
        signal, variance = math.sqrt(1 - beta) * signal, (1 - beta) * variance + beta
        assert signal == pytest.approx(math.sqrt(kept), rel=1e-12)
        assert variance == pytest.approx(1 - kept, rel=1e-9)


@pytest.mark.parametrize("t", [0, 1, 400, 999])
def test_equation_4(t: int) -> None:
    kept = math.prod(1 - beta for beta in TABLES.betas[: t + 1].tolist())
    noisy = OBJECTIVE.noised(CLEAN, noise=EPSILON, t_B=torch.full((2,), float(t)))
    torch.testing.assert_close(noisy, math.sqrt(kept) * CLEAN + math.sqrt(1 - kept) * EPSILON, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("t", "weight"), [(1, None), (400, 1.0), (999, 1.0)])
def test_equation_5(t: int, weight: float | None) -> None:
    """γ_t is 5 / SNR where the SNR is above 5, and 1 below; the norm is a mean over the elements."""
    objective, t_B = IddpmConfig(variance="fixed_small").build(), torch.full((2,), t)
    snr = float(TABLES.alphas_cumprod[t] / (1 - TABLES.alphas_cumprod[t]))
    said = torch.cat([Z, Z], dim=1)
    found = objective.loss_terms(said, clean=CLEAN, noise=EPSILON, noisy=Z, t_B=t_B)
    expected = (5 / snr if weight is None else weight) * (EPSILON - Z).square().flatten(1).mean(1)
    assert list(found) == ["mse"]
    torch.testing.assert_close(found["mse"], expected, rtol=1e-5, atol=0)


def test_equation_6_goes_from_noise_through_every_step_to_clean() -> None:
    steps = OBJECTIVE.steps(1000)
    assert [step.at.time for step in steps] == list(range(999, -1, -1))
    assert steps[0].at.noise == pytest.approx(1.0, abs=1e-4)
    assert all(before.to == after.at for before, after in itertools.pairwise(steps))
    assert (steps[-1].to.signal, steps[-1].to.noise) == (1.0, 0.0)
    seen: list[float] = []

    def denoise(latents: Tensors, t_B: Tensor) -> Tensors:
        seen.append(float(t_B[0]))
        return {VIDEO: torch.cat([latents[VIDEO]] * 2, dim=1)}

    sample(OBJECTIVE, denoise, AncestralConfig(steps=5), start={VIDEO: Z}, given={}, noise=torch.zeros_like)
    assert seen == [999, 749, 500, 250, 0]


@pytest.mark.parametrize("t", [1, 5, 400, 999])
def test_equations_7_to_9_are_an_ancestral_step(t: int) -> None:
    """As printed, with ᾱ where (9) prints α: μ by (8), and β̃ as the variance of what is added."""
    beta, kept, kept_before = (
        float(table[at])
        for table, at in ((TABLES.betas, t), (TABLES.alphas_cumprod, t), (TABLES.alphas_cumprod, t - 1))
    )
    mean = (Z - beta / math.sqrt(1 - kept) * EPSILON) / math.sqrt(1 - beta)
    variance = (1 - kept_before) / (1 - kept) * beta
    step = OBJECTIVE.steps(1000)[999 - t]
    assert step.at.time == t

    def evaluate(state: Tensors, at: Level) -> dict[Modality, Prediction]:
        return {VIDEO: OBJECTIVE.predict(torch.cat([EPSILON, EPSILON], dim=1), state[VIDEO], at)}

    for fresh in (torch.zeros_like(Z), torch.ones_like(Z)):
        walk = Walk(OBJECTIVE, evaluate, lambda like, fresh=fresh: fresh)
        found = AncestralConfig().advance({VIDEO: Z}, step, walk=walk)[VIDEO]
        torch.testing.assert_close(found, mean + math.sqrt(variance) * fresh, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("task", list(Task))
def test_equations_10_to_12_are_errors_of_the_noise_of_what_is_made(task: Task) -> None:
    clean, noise, said = (random_latent(2, seed=seed) for seed in (4, 5, 6))
    outputs = {m: torch.cat([said[m], clean[m]], dim=1) for m in Modality}
    t_B = torch.tensor([3.0, 700.0])
    loss = OBJECTIVE.loss_at(
        lambda latents, t_B: outputs, clean, task=task, t_B=t_B, noise={m: noise[m] for m in task.made}
    )
    expected = {m: (noise[m] - said[m]).square().mean() for m in task.made}
    for modality in task.made:
        torch.testing.assert_close(loss.by_modality[modality], expected[modality])
    torch.testing.assert_close(loss.total, torch.stack(list(expected.values())).sum())


def test_full_eta_of_ddim_is_equation_7_too() -> None:
    """Song et al. 2021: DDIM with η = 1 adds the β̃ of Eq. (9), and its mean is then Eq. (8)."""
    step = OBJECTIVE.steps(30)[10]

    def evaluate(state: Tensors, at: Level) -> dict[Modality, Prediction]:
        return {VIDEO: OBJECTIVE.predict(torch.cat([EPSILON, EPSILON], dim=1), state[VIDEO], at)}

    walk = Walk(OBJECTIVE, evaluate, torch.ones_like)
    ddim, ancestral = (
        one.advance({VIDEO: Z}, step, walk=walk)[VIDEO] for one in (DdimConfig(eta=1.0), AncestralConfig())
    )
    torch.testing.assert_close(ddim, ancestral, rtol=1e-9, atol=1e-9)
