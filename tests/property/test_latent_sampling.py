"""Laws of sampling with a model: what is given stays, no text means no text, and a clip does not see its batch."""

from __future__ import annotations

import pytest
import torch
from model_cases import LAYOUT, NULL, RATE_HZ, lively_model, random_latent, random_text

from uniform_core.diffusion import (
    AncestralConfig,
    DpmSolverConfig,
    EulerConfig,
    GuidanceConfig,
    HeunConfig,
    IddpmConfig,
    ObjectiveConfig,
    RectifiedFlowConfig,
    SamplerConfig,
    sample_joint,
)
from uniform_core.diffusion.base import noise_of_each
from uniform_core.errors import ConfigError
from uniform_core.model import JointLatent, TextBatch
from uniform_core.seeds import torch_generator
from uniform_core.types import Modality, Task

MODEL = lively_model()
STRONG = GuidanceConfig(text_scale=5.0)
CASES: list[tuple[ObjectiveConfig, SamplerConfig]] = [
    (IddpmConfig(), AncestralConfig(steps=3, clamp_x0_sigma=3.0)),
    (RectifiedFlowConfig(), EulerConfig(steps=3)),
    (RectifiedFlowConfig(), HeunConfig(steps=2)),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].kind}-{case[1].kind}")
each_task = pytest.mark.parametrize("task", list(Task))


def generate(
    task: Task,
    case: tuple[ObjectiveConfig, SamplerConfig] = CASES[0],
    *,
    text: TextBatch | None,
    seeds: tuple[int, ...] = (0, 1, 2),
    given: JointLatent | None = None,
    guidance: GuidanceConfig = STRONG,
) -> JointLatent:
    latent = random_latent(len(seeds)) if given is None else given
    return sample_joint(
        MODEL,
        case[0].build(),
        task=task,
        given=latent if task.given else None,
        text=text,
        null_text=NULL,
        video_rate_hz=RATE_HZ,
        sampler=case[1],
        guidance=guidance,
        generators=[torch_generator("item", seed) for seed in seeds],
    )


def same(one: JointLatent, other: JointLatent) -> bool:
    return all(torch.equal(one[m], other[m]) for m in Modality)


@each_case
@each_task
def test_the_given_modality_returns_to_the_bit(task: Task, case: tuple[ObjectiveConfig, SamplerConfig]) -> None:
    given = random_latent(3, seed=5)
    result = generate(task, case, text=random_text([2, 4, 3]), given=given)
    assert isinstance(result, JointLatent)
    for modality in Modality:
        assert torch.equal(result[modality], given[modality]) == (modality is task.given)
        assert result[modality].isfinite().all()


@each_task
def test_what_is_made_depends_on_what_is_given(task: Task) -> None:
    text = random_text([2, 4, 3])
    one, other = (generate(task, text=text, given=random_latent(3, seed=seed)) for seed in (1, 2))
    for modality in task.made:
        assert torch.equal(one[modality], other[modality]) == (task.given is None)


@each_task
def test_without_text_guidance_changes_nothing(task: Task) -> None:
    assert same(generate(task, text=None), generate(task, text=None, guidance=GuidanceConfig()))
    as_null = generate(task, text=NULL.repeated(3))  # the pair is computed, and both halves say the same
    for modality in Modality:
        torch.testing.assert_close(as_null[modality], generate(task, text=None)[modality], rtol=1e-3, atol=1e-4)


@each_task
def test_text_matters(task: Task) -> None:
    assert not same(generate(task, text=random_text([2, 4, 3])), generate(task, text=random_text([2, 4, 3], seed=1)))


LONG = [
    *((IddpmConfig(), kind(steps=30, clamp_x0_sigma=3.0)) for kind in (AncestralConfig, DpmSolverConfig)),
    *((RectifiedFlowConfig(), kind(steps=10)) for kind in (EulerConfig, HeunConfig, DpmSolverConfig)),
]


def seen_of_a_batch(task: Task, case: tuple[ObjectiveConfig, SamplerConfig], guidance: GuidanceConfig) -> float:
    """How far items of a batch are from themselves in another order, and alone: a share of the largest value."""
    lengths, seeds, given = [2, 6, 3], (7, 8, 9), random_latent(3, seed=3)
    text = random_text(lengths)
    together = generate(task, case, text=text, seeds=seeds, given=given, guidance=guidance)
    order = [2, 0, 1]
    shuffled = generate(
        task,
        case,
        text=TextBatch(text.features_BLD[order], text.mask_BL[order]),
        seeds=tuple(seeds[i] for i in order),
        given=JointLatent(given.video_BCTHW[order], given.audio_BCTF[order]),
        guidance=guidance,
    )
    alone = generate(
        task,
        case,
        text=TextBatch(text.features_BLD[:1, : lengths[0]], text.mask_BL[:1, : lengths[0]]),
        seeds=seeds[:1],
        given=JointLatent(given.video_BCTHW[:1], given.audio_BCTF[:1]),
        guidance=guidance,
    )
    shares = [
        (one - other).abs().max() / together[m].abs().max()
        for m in Modality
        for one, other in ((shuffled[m], together[m][order]), (alone[m], together[m][:1]))
    ]
    return float(torch.stack(shares).max())  # NaN, where there is one


@pytest.mark.parametrize("case", LONG, ids=lambda case: f"{case[0].kind}-{case[1].kind}")
@each_task
def test_an_item_does_not_see_its_batch(task: Task, case: tuple[ObjectiveConfig, SamplerConfig]) -> None:
    """Samples agree to 1e-5 of the largest value, unguided, with a random network of large weights."""
    assert seen_of_a_batch(task, case, GuidanceConfig()) < 1e-5


@pytest.mark.parametrize("case", [LONG[0], LONG[2]], ids=lambda case: f"{case[0].kind}-{case[1].kind}")
@each_task
def test_guided_in_two_passes_an_item_does_not_see_its_batch_either(
    task: Task, case: tuple[ObjectiveConfig, SamplerConfig]
) -> None:
    """Guidance of 5 enlarges rounding: to 3.1e-6 to 8.6e-6 by task in 30 ancestral steps, to 1.1e-6 in 10 of Euler.

    In one pass of both halves it was 5.8e-6 to 6.3e-6, and 1.2e-6 (an EPYC, one thread). Others may need the double.
    """
    assert seen_of_a_batch(task, case, GuidanceConfig(text_scale=5.0, passes="split")) < 2e-5


def test_noise_of_an_item_is_equal_to_the_bit_whatever_its_batch() -> None:
    def two_draws(seeds: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        noise = noise_of_each([torch_generator("item", seed) for seed in seeds])
        return noise(torch.empty(len(seeds), 4, 3)), noise(torch.empty(len(seeds), 2))

    for one, other in zip(two_draws((1, 2, 3)), two_draws((3, 1)), strict=True):
        assert torch.equal(one[[2, 0]], other)


def test_steps_are_reported() -> None:
    seen: list[tuple[int, int]] = []
    sample_joint(
        MODEL,
        RectifiedFlowConfig().build(),
        task=Task.T2AV,
        given=None,
        text=None,
        null_text=NULL,
        video_rate_hz=RATE_HZ,
        sampler=EulerConfig(steps=3),
        guidance=GuidanceConfig(),
        generators=[torch_generator("item")],
        on_step=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_wrong_calls_are_named() -> None:
    with pytest.raises(ConfigError, match=r"given video latent: .*shape \(2, 4, 3, 4, 4\); found shape \(3,"):
        generate(Task.V2A, text=None, seeds=(0, 1), given=random_latent(3))
    with pytest.raises(ConfigError, match="2 texts, one a generator; found 3"):
        generate(Task.T2AV, text=random_text([1, 1, 1]), seeds=(0, 1))
    with pytest.raises(ConfigError, match=r"1 to 1000 steps; found 1001"):
        generate(Task.T2AV, (IddpmConfig(), AncestralConfig(steps=1001)), text=None)
    assert LAYOUT.width == 4 + 2 + 2
