"""Losses by task: Eq. (10)–(12), who is noised, what counts, where gradients go."""

from __future__ import annotations

import math

import pytest
import torch
from model_cases import random_latent
from torch import Tensor

from uniform_core.diffusion import IddpmConfig, ObjectiveConfig, RectifiedFlowConfig, TrainingLoss
from uniform_core.diffusion.base import Tensors
from uniform_core.diffusion.gaussian import GaussianTables
from uniform_core.diffusion.iddpm import bound_bits
from uniform_core.types import Modality, Task

CONFIGS: list[ObjectiveConfig] = [IddpmConfig(), IddpmConfig(variance="fixed_small"), RectifiedFlowConfig()]
each_config = pytest.mark.parametrize("config", CONFIGS, ids=["learned", "fixed", "flow"])
each_task = pytest.mark.parametrize("task", list(Task))
CLEAN = random_latent(3)
NOISE = random_latent(3, seed=1)
T_B = torch.tensor([0.0, 400.0, 990.0])


class Recorder:
    """A network that says what it was told to, and remembers what it was shown."""

    def __init__(self, outputs: Tensors) -> None:
        self.outputs, self.shown = outputs, {}

    def __call__(self, latents: Tensors, t_B: Tensor) -> Tensors:
        self.shown = dict(latents)
        return self.outputs


def outputs(seed: int = 2) -> dict[Modality, Tensor]:
    one, other = random_latent(3, seed=seed), random_latent(3, seed=seed + 10)
    return {m: torch.cat([one[m], 0.3 * other[m]], dim=1).requires_grad_() for m in Modality}


def loss_of(config: ObjectiveConfig, task: Task, said: Tensors) -> TrainingLoss:
    return config.build().loss_at(Recorder(said), CLEAN, task=task, t_B=T_B, noise={m: NOISE[m] for m in task.made})


@each_config
@each_task
def test_the_given_modality_enters_clean_and_the_made_ones_noised(config: ObjectiveConfig, task: Task) -> None:
    recorder, objective = Recorder(outputs()), config.build()
    objective.loss_at(recorder, CLEAN, task=task, t_B=T_B, noise={m: NOISE[m] for m in task.made})
    for modality in Modality:
        if modality is task.given:
            assert torch.equal(recorder.shown[modality], CLEAN[modality])
        else:
            expected = objective.noised(CLEAN[modality], noise=NOISE[modality], t_B=T_B)
            assert torch.equal(recorder.shown[modality], expected)
            assert not torch.equal(recorder.shown[modality], CLEAN[modality])


@each_config
@each_task
def test_the_given_modality_has_no_loss_and_no_gradient(config: ObjectiveConfig, task: Task) -> None:
    said = outputs()
    loss = loss_of(config, task, said)
    loss.total.backward()
    assert set(loss.by_modality) == set(task.made)
    for modality in Modality:
        assert (said[modality].grad is None) == (modality is task.given)


@each_config
def test_the_loss_of_one_modality_ignores_what_is_said_of_the_other(config: ObjectiveConfig) -> None:
    one, other = outputs(), outputs(seed=4)
    mixed = {Modality.VIDEO: one[Modality.VIDEO], Modality.AUDIO: other[Modality.AUDIO]}
    losses = [loss_of(config, Task.T2AV, said).by_modality for said in (one, mixed)]
    assert torch.equal(losses[0][Modality.VIDEO], losses[1][Modality.VIDEO])
    assert not torch.equal(losses[0][Modality.AUDIO], losses[1][Modality.AUDIO])


@each_config
def test_equation_12_is_the_sum_of_10_and_11(config: ObjectiveConfig) -> None:
    said = outputs()
    both, of_audio, of_video = (loss_of(config, task, said) for task in (Task.T2AV, Task.V2A, Task.A2V))
    torch.testing.assert_close(both.total, of_audio.total + of_video.total)
    torch.testing.assert_close(torch.stack(list(both.terms.values())).sum(), both.total.detach())


def test_modalities_weigh_alike_whatever_their_sizes() -> None:
    """Means, not sums: an error of 1 everywhere counts 1 in either modality."""
    said = {m: torch.cat([NOISE[m] - CLEAN[m] + 1, CLEAN[m]], dim=1) for m in Modality}
    loss = loss_of(RectifiedFlowConfig(), Task.T2AV, said)
    assert [float(part) for part in loss.by_modality.values()] == pytest.approx([1.0, 1.0], rel=1e-5)


def test_the_bound_teaches_the_variance_alone() -> None:
    objective = IddpmConfig().build()
    said = outputs()[Modality.VIDEO]
    clean, noise = CLEAN.video_BCTHW, NOISE.video_BCTHW
    noisy = objective.noised(clean, noise=noise, t_B=T_B)
    terms = objective.loss_terms(said, clean=clean, noise=noise, noisy=noisy, t_B=T_B)
    for name, half in (("mse", 0), ("vb", 1)):
        (gradient,) = torch.autograd.grad(terms[name].sum(), said, retain_graph=True)
        halves = gradient.chunk(2, dim=1)
        assert halves[half].any()
        assert not halves[1 - half].any()


def test_min_snr_weighs_the_error_and_not_the_bound() -> None:
    said, t_B = outputs()[Modality.VIDEO].detach(), torch.tensor([5.0, 500.0, 999.0])
    clean, noise = CLEAN.video_BCTHW, NOISE.video_BCTHW

    def terms(limit: float | None) -> dict[str, Tensor]:
        objective = IddpmConfig(min_snr=limit).build()
        noisy = objective.noised(clean, noise=noise, t_B=t_B)
        return objective.loss_terms(said, clean=clean, noise=noise, noisy=noisy, t_B=t_B)

    plain, weighted = terms(None), terms(5.0)
    assert torch.equal(plain["vb"], weighted["vb"])
    signal = IddpmConfig().build().tables.alphas_cumprod[5]
    ratio = weighted["mse"] / plain["mse"]
    assert float(ratio[0]) == pytest.approx(5 * float((1 - signal) / signal), rel=1e-5)
    assert ratio[1:].tolist() == [1.0, 1.0]


def test_the_bound_is_least_at_the_true_variance() -> None:
    """With a perfect ε the KL at t > 0 is zero where the said variance is β̃; at t = 0 the likelihood decides."""
    tables = IddpmConfig().build().tables
    clean, noise = CLEAN.video_BCTHW, NOISE.video_BCTHW
    t_B = torch.tensor([0.0, 1.0, 5.0])  # where β̃ and β differ
    noisy = IddpmConfig().build().noised(clean, noise=noise, t_B=t_B)

    def bits(said: float) -> Tensor:
        variance = torch.full_like(clean, said)
        values = bound_bits(
            tables, clean=clean, noisy=noisy, said_noise=noise, said_variance=variance, t_B=t_B, likelihood="gaussian"
        )
        return values.flatten(1).mean(1)

    assert bits(-1.0)[1:].abs().max() < 1e-4
    assert (bits(0.0)[1:] > bits(-1.0)[1:] + 1e-3).all()
    assert (bits(1.0)[1:] > bits(0.0)[1:]).all()
    assert bits(-1.0)[0] < bits(1.0)[0]  # at t = 0 a perfect ε makes a smaller variance likelier


@each_config
def test_times_follow_their_distribution(config: ObjectiveConfig) -> None:
    even = (torch.arange(2000) + 0.5) / 2000
    times = config.build().times_of(even, task=Task.T2AV)
    assert times.dtype == torch.float32
    assert (times.diff() >= 0).all()
    assert 0 <= float(times.min()) < float(times.max()) < 1000
    if isinstance(config, IddpmConfig):
        assert torch.equal(times, (torch.arange(2000) // 2).float())
    else:
        assert float(torch.logit(times / 1000).std()) == pytest.approx(1.0, abs=0.01)
    assert config.build().times_of(torch.tensor([0.0, 1 - 2**-24]), task=Task.T2AV).isfinite().all()


@each_task
def test_given_tasks_may_have_times_of_their_own(task: Task) -> None:
    even = (torch.arange(2000) + 0.5) / 2000
    times = RectifiedFlowConfig(location=0.2, location_given=1.0).build().times_of(even, task=task)
    assert float(torch.logit(times / 1000).mean()) == pytest.approx(0.2 if task is Task.T2AV else 1.0, abs=0.01)


def test_tables_of_a_hand_made_schedule() -> None:
    tables = GaussianTables.of(torch.tensor([0.5, 0.5]))
    assert tables.alphas_cumprod.tolist() == [0.5, 0.25]
    assert tables.posterior_variance.tolist() == pytest.approx([0.0, 0.5 / 0.75 * 0.5])  # Eq. (9) with ᾱ
    assert tables.posterior_mean_coef1.tolist()[0] == 1.0
    assert tables.posterior_mean_coef2.tolist()[0] == 0.0


def test_a_process_of_one_step_has_whole_tables() -> None:
    (step,) = IddpmConfig(diffusion_steps=1).build().steps(1)
    assert step.is_last
    assert (step.clean_weight, step.noisy_weight) == (1.0, 0.0)
    assert step.log_variance_small == step.log_variance_large == pytest.approx(math.log(1e-4))


@pytest.mark.parametrize("change", [{"beta_last": 1.0}, {"beta_first": 0.0}, {"beta_last": 2.0}])
def test_a_variance_that_leaves_no_signal_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        IddpmConfig(**change)
