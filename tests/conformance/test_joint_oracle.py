"""Every form of every sampler on every form of every objective, with a perfect network of sound and picture together.

Video and audio are one correlated Gaussian, z_0 ~ N(μ, Σ), a value each: what the best network says of both is a closed
form. Forms are found in the families: an example of each member, one for each other word that a field of it takes
(`variance`, `spacing`, …), and one for each number that is named here. A new member needs no new line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor

from uniform_core.diffusion import (
    OBJECTIVES,
    SAMPLERS,
    AncestralConfig,
    IddpmConfig,
    Objective,
    ObjectiveConfig,
    RectifiedFlowConfig,
    SamplerConfig,
    sample,
)
from uniform_core.diffusion.base import Denoiser, Step, Tensors, noise_of
from uniform_core.diffusion.rectified_flow import RectifiedFlow
from uniform_core.families import Member
from uniform_core.seeds import torch_generator
from uniform_core.types import Modality, Task

MEAN_2 = torch.tensor([0.6, -0.4], dtype=torch.float64)
STD_2, CORRELATION = (0.5, 0.8), 0.7
N = 20_000  # the standard error of a mean is at most .006, of a deviation .004, of the correlation .004
STEPS = 300  # a fixed variance still shrinks deviations by 1.4 %
NUMBERS = {"shift": 3.0, "eta": 0.8}  # values of fields that turn something on; members that have the field take them

COVARIANCE_22 = torch.tensor(
    [[STD_2[0] ** 2, CORRELATION * STD_2[0] * STD_2[1]], [CORRELATION * STD_2[0] * STD_2[1], STD_2[1] ** 2]],
    dtype=torch.float64,
)


def forms_of(members: Sequence[type[Member]]) -> Iterator[Member]:
    """The example of each member, and its other forms, one field changed in each."""
    for member in members:
        example = member.example()
        yield example
        for name, field in member.model_fields.items():
            words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            numbers = [NUMBERS[name]] if name in NUMBERS else []
            for value in (*words, *numbers):
                if value != getattr(example, name):
                    yield example.model_copy(update={name: value})


def named(member: Member) -> str:
    plain = type(member).example().model_dump()
    changed = [f"{name}={value}" for name, value in member.model_dump().items() if value != plain[name]]
    return "-".join([member.kind, *changed])


OBJECTIVE_FORMS = [form for form in forms_of(OBJECTIVES) if isinstance(form, ObjectiveConfig)]
SAMPLER_FORMS = [form for form in forms_of(SAMPLERS) if isinstance(form, SamplerConfig)]
every_pair = pytest.mark.parametrize(
    ("objective", "sampler"),
    [(objective, sampler) for objective in OBJECTIVE_FORMS for sampler in SAMPLER_FORMS],
    ids=named,
)


def perfect(objective: Objective, task: Task, steps: Sequence[Step]) -> Denoiser:
    """The best answer of a network that sees both latents: E[ε | what it sees], and the true variance of each step.

    A given latent is z_0 itself: it is seen at signal 1 and noise 0.
    """
    by_time = {float(torch.tensor(step.at.time)): step for step in steps}

    def denoise(latents: Tensors, t_B: Tensor) -> Tensors:
        step = by_time[float(t_B[0])]
        signals, noises = (
            torch.tensor([clean if m is task.given else level for m in Modality], dtype=torch.float64)
            for clean, level in ((1.0, step.at.signal), (0.0, step.at.noise))
        )
        seen_B2 = torch.cat([latents[m] for m in Modality], dim=1).flatten(1).double()
        spread_22 = signals[:, None] * COVARIANCE_22 * signals + torch.diag(noises**2)
        gain_22 = COVARIANCE_22 * signals @ torch.linalg.inv(spread_22)
        clean_B2 = MEAN_2 + (seen_B2 - signals * MEAN_2) @ gain_22.T
        unsure_2 = (COVARIANCE_22 - gain_22 * signals @ COVARIANCE_22).diagonal()
        said = {}
        for m in task.made:
            place = list(Modality).index(m)
            clean_B1 = clean_B2[:, place : place + 1]
            noise_B1 = (seen_B2[:, place : place + 1] - step.at.signal * clean_B1) / step.at.noise
            word_B1 = noise_B1 - clean_B1 if isinstance(objective, RectifiedFlow) else noise_B1
            share = variance_share(step, float(unsure_2[place]))
            said[m] = torch.cat([word_B1, torch.full_like(word_B1, 2 * share - 1)], dim=1).float()[..., None]
        return said

    return denoise


def variance_share(step: Step, unsure: float) -> float:
    """Where between log β̃ and log β the variance of a step lies: β̃ + clean_weight² Var(z_0 | what is seen)."""
    low, high = step.log_variance_small, step.log_variance_large
    return (math.log(math.exp(low) + step.clean_weight**2 * unsure) - low) / (high - low) if high > low else 0.0


def made(objective: ObjectiveConfig, sampler: SamplerConfig, *, task: Task) -> tuple[Tensor, Tensor]:
    """Video and audio values [N], float64; of a task that is given one, that one is drawn from the data."""
    built = objective.build()
    noise = noise_of(torch_generator("joint oracle", task.value))
    drawn_N2 = (
        MEAN_2
        + torch.randn(N, 2, generator=torch_generator("data"), dtype=torch.float64)
        @ torch.linalg.cholesky(COVARIANCE_22).T
    )
    of_data = {m: drawn_N2[:, [place], None].float() for place, m in enumerate(Modality)}
    given = {m: of_data[m] for m in Modality if m is task.given}
    start = {m: noise(of_data[m]) for m in task.made}
    denoise = perfect(built, task, sampler.steps_on(built))
    result = {**sample(built, denoise, sampler, start=start, given=given, noise=noise), **given}
    video_N, audio_N = (result[m].flatten().double() for m in Modality)
    return video_N, audio_N


@every_pair
def test_sound_and_picture_reach_their_moments_and_their_correlation(
    objective: ObjectiveConfig, sampler: SamplerConfig
) -> None:
    both_2N = torch.stack(made(objective, sampler.model_copy(update={"steps": STEPS}), task=Task.T2AV))
    torch.testing.assert_close(both_2N.mean(1), MEAN_2, rtol=0, atol=0.02)
    torch.testing.assert_close(both_2N.std(1), torch.tensor(STD_2, dtype=torch.float64), rtol=0, atol=0.02)
    assert abs(float(torch.corrcoef(both_2N)[0, 1]) - CORRELATION) < 0.02


@pytest.mark.parametrize("task", [Task.A2V, Task.V2A])
@every_pair
def test_what_is_made_follows_what_is_given(objective: ObjectiveConfig, sampler: SamplerConfig, task: Task) -> None:
    """Slope, level and rest of the regression on the given one: those of the conditional Gaussian."""
    assert task.given is not None
    both = dict(zip(Modality, made(objective, sampler.model_copy(update={"steps": STEPS}), task=task), strict=True))
    given_N, made_N = both[task.given], both[task.made[0]]
    deviation, rest_std = (STD_2[list(Modality).index(m)] for m in (task.given, task.made[0]))
    slope = CORRELATION * rest_std / deviation
    centred_N = given_N - given_N.mean()
    assert abs(float((centred_N * made_N).mean() / (centred_N**2).mean()) - slope) < 0.03
    assert abs(float(made_N.mean()) - float(MEAN_2[list(Modality).index(task.made[0])])) < 0.02
    assert abs(float((made_N - slope * given_N).std()) - rest_std * math.sqrt(1 - CORRELATION**2)) < 0.02


@every_pair
def test_a_clamp_that_nothing_reaches_changes_nothing(objective: ObjectiveConfig, sampler: SamplerConfig) -> None:
    short = sampler.model_copy(update={"steps": 12})
    free, clamped = (
        made(objective, one, task=Task.T2AV) for one in (short, short.model_copy(update={"clamp_x0_sigma": 8.0}))
    )
    for one, other in zip(free, clamped, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def expected_covariance(objective: ObjectiveConfig, steps: int, *, learned: bool, data_22: Tensor) -> Tensor:
    """Where ancestral steps end: each is linear in z, and adds β̃, or what the perfect network says (`learned`)."""
    eye_22 = torch.eye(2, dtype=torch.float64)
    covariance_22 = eye_22
    for step in objective.build().steps(steps):
        gain_22 = step.at.signal * data_22 @ torch.linalg.inv(step.at.signal**2 * data_22 + step.at.noise**2 * eye_22)
        unsure_22 = data_22 - step.at.signal * gain_22 @ data_22
        added_22 = math.exp(step.log_variance_small) * eye_22
        if learned:
            added_22 = added_22 + step.clean_weight**2 * torch.diag(unsure_22.diagonal())
        kept_22 = step.clean_weight * gain_22 + step.noisy_weight * eye_22
        covariance_22 = kept_22 @ covariance_22 @ kept_22.T + (0 if step.is_last else 1) * added_22
    return covariance_22


@pytest.mark.parametrize("steps", [5, 10, 30])
@pytest.mark.parametrize("objective", OBJECTIVE_FORMS, ids=named)
def test_few_ancestral_steps_end_where_the_algebra_says(objective: ObjectiveConfig, steps: int) -> None:
    """The bias of the sampler, and no other: it holds for each number of steps, and for both kinds of variance."""
    learned = isinstance(objective, IddpmConfig) and objective.variance == "learned_range"
    both_2N = torch.stack(made(objective, AncestralConfig(steps=steps), task=Task.T2AV))
    expected_22 = expected_covariance(objective, steps, learned=learned, data_22=COVARIANCE_22)
    torch.testing.assert_close(torch.cov(both_2N), expected_22, rtol=0, atol=0.02)


BIASED = IddpmConfig(variance="fixed_small")


@pytest.mark.parametrize(
    ("objective", "learned", "deviation", "ends"),
    [
        (BIASED, False, 1.0, (0.722, 0.883, 0.972)),
        (BIASED, False, 0.5, (0.323, 0.416, 0.477)),
        (RectifiedFlowConfig(), False, 1.0, (0.805, 0.924, 0.983)),
        (RectifiedFlowConfig(shift=3.0), False, 1.0, (0.740, 0.884, 0.972)),
        (IddpmConfig(), True, 1.0, (1.0, 1.0, 1.0)),
        (IddpmConfig(), True, 0.5, (0.5, 0.5, 0.5)),
    ],
    ids=lambda value: named(value) if isinstance(value, Member) else str(value),
)
def test_a_fixed_variance_shrinks_deviations_as_it_is_known_to(
    objective: ObjectiveConfig, learned: bool, deviation: float, ends: tuple[float, ...]
) -> None:
    """Eq. (9) at 10, 30 and 150 steps (corrections.md: .88 and .42 at 30), and a flow, which says no variance."""
    for steps, end in zip((10, 30, 150), ends, strict=True):
        data_22 = deviation**2 * torch.eye(2, dtype=torch.float64)
        found_22 = expected_covariance(objective, steps, learned=learned, data_22=data_22)
        assert float(found_22[0, 0].sqrt()) == pytest.approx(end, abs=0.0025)


def test_the_switch_says_what_it_costs() -> None:
    """The numbers in the docstring of the config are those that the algebra gives."""
    said = (IddpmConfig.__doc__ or "").replace("\n", " ")
    for deviation in (1.0, 0.5):
        data_22 = deviation**2 * torch.eye(2, dtype=torch.float64)
        end = float(expected_covariance(BIASED, 30, learned=False, data_22=data_22)[0, 0].sqrt())
        assert f"{deviation:g} to {end:.3f}" in " ".join(said.split())
