"""Our DPM-Solver++(2M) is diffusers' `DPMSolverMultistepScheduler`, at the same levels, to float rounding."""

from __future__ import annotations

import warnings

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from torch import Tensor

from uniform_core.diffusion import (
    DdimConfig,
    DpmSolverConfig,
    IddpmConfig,
    Objective,
    ObjectiveConfig,
    RectifiedFlowConfig,
    sample,
)
from uniform_core.diffusion.base import Level, Prediction, Step, Tensors, Walk
from uniform_core.errors import ConfigError
from uniform_core.seeds import torch_generator
from uniform_core.types import Modality

VIDEO = Modality.VIDEO
START = torch.randn(2, 4, 3, 4, 6, generator=torch_generator("dpm parity"))
COUNTS = pytest.mark.parametrize("count", [1, 2, 3, 8, 20, 30])  # diffusers treats fewer than 15 steps apart


def said(z: Tensor, t: float) -> Tensor:
    """What the network says of noise (or velocity): smooth, not linear, another at each time."""
    u = t / 1000
    return 0.7 * z + 0.3 * (1 - u) * torch.cos(3 * z + u)


def walk_of(objective: Objective) -> Walk:
    def evaluate(state: Tensors, at: Level) -> dict[Modality, Prediction]:
        word = said(state[VIDEO], at.time)
        return {VIDEO: objective.predict(torch.cat([word, word], dim=1), state[VIDEO], at)}

    return Walk(objective, evaluate, torch.randn_like)


def ours(config: ObjectiveConfig, count: int, *, wild: float = 0.0) -> Tensor:
    """Our path; `wild` is what the variance half of the output says."""

    def denoise(latents: Tensors, t_B: Tensor) -> Tensors:
        word = said(latents[VIDEO], float(t_B[0]))
        return {VIDEO: torch.cat([word, torch.full_like(word, wild)], dim=1)}

    sampler = DpmSolverConfig(steps=count)
    return sample(config.build(), denoise, sampler, start={VIDEO: START}, given={}, noise=torch.randn_like)[VIDEO]


def theirs(scheduler: DPMSolverMultistepScheduler, steps: tuple[Step, ...]) -> Tensor:
    """Their path over our levels: their own tables are float32, and never begin at pure noise."""
    set_times(scheduler, num_inference_steps=len(steps))
    scheduler.set_begin_index(0)
    is_flow = scheduler.config.use_flow_sigmas
    scheduler.sigmas = torch.tensor([step.at.noise / (1 if is_flow else step.at.signal) for step in steps] + [0.0])
    z = START
    for step, time in zip(steps, scheduler.timesteps, strict=True):
        z = scheduler.step(said(z, step.at.time), time, z, return_dict=False)[0]
    return z


def set_times(scheduler: DPMSolverMultistepScheduler, **times: object) -> None:
    with warnings.catch_warnings():  # diffusers makes arrays of tensors in a way that NumPy 2 warns of
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        scheduler.set_timesteps(**times)


def scheduler_of(objective: Objective) -> DPMSolverMultistepScheduler:
    is_flow = objective.config.kind == "rectified_flow"
    return DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++",
        solver_order=2,
        prediction_type="flow_prediction" if is_flow else "epsilon",
        use_flow_sigmas=is_flow,
    )


@COUNTS
@pytest.mark.parametrize(
    "config",
    [IddpmConfig(), IddpmConfig(spacing="ddim"), RectifiedFlowConfig(), RectifiedFlowConfig(shift=3.0)],
    ids=lambda config: f"{config.kind}-{getattr(config, 'spacing', getattr(config, 'shift', ''))}",
)
def test_the_path_is_diffusers(config: ObjectiveConfig, count: int) -> None:
    objective = config.build()
    expected = theirs(scheduler_of(objective), objective.strides(count))
    largest = float(expected.abs().max())
    assert largest > 0.1
    found = ours(config, count)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * max(1.0, largest))


@pytest.mark.parametrize("count", [1, 2, 10, 20, 30, 50, 333])
@pytest.mark.parametrize(("spacing", "name"), [("even", "linspace"), ("ddim", "leading")])
def test_times_and_levels_are_those_of_their_own_tables(count: int, spacing: str, name: str) -> None:
    steps = IddpmConfig(spacing=spacing).build().strides(count)
    scheduler = DPMSolverMultistepScheduler(beta_start=1e-4, beta_end=0.02, timestep_spacing=name)
    set_times(scheduler, num_inference_steps=count)
    assert scheduler.timesteps.tolist() == [step.at.time for step in steps]
    levels = torch.tensor([step.at.noise / step.at.signal for step in steps] + [0.0])
    torch.testing.assert_close(scheduler.sigmas, levels, rtol=2e-5, atol=2e-6)  # theirs are float32


def test_too_many_strides_are_refused() -> None:
    assert len(IddpmConfig().build().strides(999)) == 999
    with pytest.raises(ConfigError, match=r"1 to 999 steps with this sampler and spacing even; found 1000"):
        IddpmConfig().build().strides(1000)
    with pytest.raises(ConfigError, match=r"1 to 499 steps with this sampler and spacing ddim; found 500"):
        IddpmConfig(spacing="ddim").build().strides(500)


def test_twenty_steps_are_the_default() -> None:
    assert len(DpmSolverConfig().steps_on(IddpmConfig().build())) == 20


@pytest.mark.parametrize("config", [IddpmConfig(), RectifiedFlowConfig()], ids=lambda config: config.kind)
def test_a_learned_variance_has_no_part_in_it(config: ObjectiveConfig) -> None:
    assert torch.equal(ours(config, 20), ours(config, 20, wild=1.0))


def test_a_path_remembers_nothing_of_the_one_before() -> None:
    """The memory belongs to a path: the same config goes the same way after any other, and between its steps."""
    objective, sampler = IddpmConfig().build(), DpmSolverConfig(steps=4)
    one = sampler.start()
    z, other = START, sampler.start()
    for step in objective.strides(4):
        z = one({VIDEO: z}, step, walk=walk_of(objective))[VIDEO]
        other({VIDEO: torch.zeros_like(z)}, step, walk=walk_of(objective))
    torch.testing.assert_close(z, ours(IddpmConfig(), 4), rtol=0, atol=1e-5)


def test_without_a_memory_a_step_is_of_first_order() -> None:
    objective = IddpmConfig().build()
    step = objective.strides(4)[1]
    found = DpmSolverConfig().advance({VIDEO: START}, step, walk=walk_of(objective))[VIDEO]
    expected = DdimConfig().advance({VIDEO: START}, step, walk=walk_of(objective))[VIDEO]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
