"""Guidance: the formulas, how many forward passes they take, and where they act."""

from __future__ import annotations

import pytest
import torch
from model_cases import LAYOUT, NULL, RATE_HZ, lively_model, random_latent, random_text
from torch import Tensor

from uniform_core.build import build_run
from uniform_core.diffusion import GuidanceConfig, GuideScale, IddpmConfig
from uniform_core.diffusion.base import Denoiser, Objective, Tensors
from uniform_core.diffusion.guidance import guided_denoiser
from uniform_core.model import Conditions, JointLatent, JointOutput, TextBatch
from uniform_core.types import Modality, Task

MODEL = lively_model()
OBJECTIVE = IddpmConfig().build()
TEXT = random_text([3, 5])
LATENT = random_latent(2)
GIVEN_NOISE = random_latent(2, seed=8)


class Counted:
    """The model, counting forward passes by their batch."""

    def __init__(self) -> None:
        self.layout, self.batches, self.prepared = LAYOUT, [], []

    def prepare(self, task: Task, text: TextBatch, video_rate_hz: float) -> Conditions:
        self.prepared.append((task, len(text)))
        return MODEL.prepare(task, text, video_rate_hz)

    def latent(self, tensors: Tensors) -> JointLatent:
        return MODEL.latent(tensors)

    def __call__(self, noisy: Tensors, t_B: Tensor, conditions: Conditions) -> JointOutput:
        self.batches.append(len(t_B))
        return MODEL(noisy, t_B, conditions)


def denoiser(
    guidance: GuidanceConfig,
    *,
    task: Task = Task.V2A,
    text: TextBatch | None = TEXT,
    objective: Objective = OBJECTIVE,
) -> tuple[Denoiser, list[int]]:
    model = Counted()
    return guided_by(guidance, model, task=task, text=text, objective=objective), model.batches


def guided_by(
    guidance: GuidanceConfig,
    model: Counted,
    *,
    task: Task,
    text: TextBatch | None = TEXT,
    objective: Objective = OBJECTIVE,
    guide: Counted | None = None,
) -> Denoiser:
    """The guided model, with the given modality's noise where guidance asks for it."""
    return guided_denoiser(
        model,
        task=task,
        text=text,
        null_text=NULL,
        batch=2,
        video_rate_hz=RATE_HZ,
        guidance=guidance,
        objective=objective,
        given_noise=None if task.given is None or guidance.modality_scale == 1 else GIVEN_NOISE[task.given],
        guide=guide,
    )


def plain(task: Task, text: TextBatch, t: float, latent: Tensors = LATENT) -> JointOutput:
    return MODEL(latent, torch.full((2,), t), MODEL.prepare(task, text, RATE_HZ))


@torch.no_grad()
def test_text_guidance_in_one_pass_of_two_halves() -> None:
    guided, batches = denoiser(GuidanceConfig(text_scale=3.0))
    found = guided(LATENT, torch.full((2,), 500.0))
    with_text, without = plain(Task.V2A, TEXT, 500.0), plain(Task.V2A, NULL.repeated(2), 500.0)
    assert batches == [4]
    assert set(found) == {Modality.AUDIO}
    said, variance = found[Modality.AUDIO].chunk(2, dim=1)
    (c, c_variance), (u, _) = (one.audio_BCTF.chunk(2, dim=1) for one in (with_text, without))
    torch.testing.assert_close(said, u + 3.0 * (c - u), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(variance, c_variance, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(said, c)


@torch.no_grad()
@pytest.mark.parametrize("change", [{}, {"modality_scale": 1.5}, {"guide_scale": GuideScale(audio=2.0)}], ids=str)
@pytest.mark.parametrize("task", list(Task))
def test_two_passes_say_what_one_says(task: Task, change: dict) -> None:
    """Its halves are computed apart: equal but for the rounding of another batch."""
    batched, split = (
        with_guide(GuidanceConfig(text_scale=3.0, passes=passes, **change), task=task)[0]
        for passes in ("batched", "split")
    )
    for modality in task.made:
        torch.testing.assert_close(split[modality], batched[modality], rtol=1e-4, atol=1e-5)


def test_how_passes_are_made_changes_no_fingerprint_and_no_written_config() -> None:
    split, plain = (
        build_run("nano", overrides=[f"sample.guidance.passes={passes}"]) for passes in ("split", "batched")
    )
    assert split.sample.guidance.passes == "split"
    assert split.sample.fingerprint_params() == plain.sample.fingerprint_params()
    assert plain == build_run("nano")
    assert "passes" not in plain.model_dump_json()
    again = type(split).model_validate_json(split.model_dump_json())
    assert again == split


@torch.no_grad()
@pytest.mark.parametrize(
    ("guidance", "text", "t", "batches"),
    [
        (GuidanceConfig(text_scale=5.0, passes="split"), None, 500.0, [2]),
        (GuidanceConfig(text_scale=5.0, passes="split", interval=(0.2, 0.6)), TEXT, 700.0, [2]),
        (GuidanceConfig(text_scale=5.0, passes="split", interval=(0.2, 0.6)), TEXT, 400.0, [2, 2]),
        (GuidanceConfig(), TEXT, 500.0, [2]),
        (GuidanceConfig(text_scale=5.0), None, 500.0, [2]),
        (GuidanceConfig(text_scale=5.0, interval=(0.2, 0.6)), TEXT, 700.0, [2]),
        (GuidanceConfig(text_scale=5.0, interval=(0.2, 0.6)), TEXT, 100.0, [2]),
        (GuidanceConfig(text_scale=5.0, interval=(0.2, 0.6)), TEXT, 400.0, [4]),
        (GuidanceConfig(modality_scale=2.0), TEXT, 400.0, [2, 2]),
        (GuidanceConfig(text_scale=2.0, modality_scale=2.0), TEXT, 400.0, [4, 2]),
        (GuidanceConfig(modality_scale=2.0, interval=(0.9, 1.0)), TEXT, 400.0, [2]),
    ],
)
def test_no_pass_is_made_for_nothing(guidance: GuidanceConfig, text: TextBatch | None, t: float, batches: list) -> None:
    guided, counted = denoiser(guidance, text=text)
    found = guided(LATENT, torch.full((2,), t))
    assert counted == batches
    if batches == [2]:
        expected = plain(Task.V2A, NULL.repeated(2) if text is None else text, t)
        torch.testing.assert_close(found[Modality.AUDIO], expected.audio_BCTF)


@torch.no_grad()
@pytest.mark.parametrize(
    ("guidance", "times", "prepared"),
    [
        (GuidanceConfig(text_scale=5.0), (900.0, 400.0), [(Task.V2A, 4)]),
        (GuidanceConfig(text_scale=5.0, interval=(0.2, 0.6)), (900.0, 800.0), [(Task.V2A, 2)]),
        (GuidanceConfig(text_scale=5.0, interval=(0.2, 0.6)), (900.0, 400.0), [(Task.V2A, 2), (Task.V2A, 4)]),
        (GuidanceConfig(text_scale=5.0, passes="split"), (900.0, 400.0), [(Task.V2A, 2)] * 2),
        (GuidanceConfig(modality_scale=2.0, interval=(0.2, 0.6)), (900.0, 800.0), [(Task.V2A, 2)]),
        (GuidanceConfig(modality_scale=2.0), (900.0, 400.0), [(Task.V2A, 2), (Task.T2AV, 2)]),
    ],
)
def test_no_text_is_read_that_no_step_asks_for_and_none_twice(
    guidance: GuidanceConfig, times: tuple[float, ...], prepared: list[tuple[Task, int]]
) -> None:
    model = Counted()
    guided = guided_by(guidance, model, task=Task.V2A)
    assert model.prepared == []
    for t in times:
        guided(LATENT, torch.full((2,), t))
    assert model.prepared == prepared


@torch.no_grad()
def test_an_interval_is_a_share_of_the_objective_s_own_times() -> None:
    short = IddpmConfig(diffusion_steps=100).build()
    guided, counted = denoiser(GuidanceConfig(text_scale=5.0, interval=(0.2, 0.6)), objective=short)
    for t in (10.0, 40.0, 70.0):
        guided(LATENT, torch.full((2,), t))
    assert counted == [2, 4, 2]


@torch.no_grad()
def test_modality_guidance_compares_with_the_joint_task() -> None:
    """ε = ε_T2AV + s·(ε_V2A − ε_T2AV) (corrections.md)."""
    guided, _ = denoiser(GuidanceConfig(modality_scale=2.5))
    t_B = torch.full((2,), 400.0)
    found = guided(LATENT, t_B)[Modality.AUDIO].chunk(2, dim=1)
    hidden = OBJECTIVE.noised(LATENT.video_BCTHW, noise=GIVEN_NOISE.video_BCTHW, t_B=t_B)
    seeing = plain(Task.V2A, TEXT, 400.0).audio_BCTF.chunk(2, dim=1)
    blind = plain(Task.T2AV, TEXT, 400.0, JointLatent(hidden, LATENT.audio_BCTF)).audio_BCTF.chunk(2, dim=1)
    torch.testing.assert_close(found[0], blind[0] + 2.5 * (seeing[0] - blind[0]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], seeing[1], rtol=1e-5, atol=1e-6)


def test_modality_guidance_has_nothing_to_compare_in_t2av() -> None:
    guided, batches = denoiser(GuidanceConfig(modality_scale=3.0), task=Task.T2AV)
    with torch.no_grad():
        guided(LATENT, torch.full((2,), 400.0))
    assert batches == [2]


def test_an_interval_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="cleaner to the noisier"):
        GuidanceConfig(interval=(0.6, 0.2))


def with_guide(guidance: GuidanceConfig, *, task: Task) -> tuple[Tensors, int]:
    """What is said at t = 500 with a guide that says half of what the model says, and how often the guide was asked."""
    asked = []

    class Half(Counted):
        def __call__(self, noisy: Tensors, t_B: Tensor, conditions: Conditions) -> JointOutput:
            asked.append(len(t_B))
            said = MODEL(noisy, t_B, conditions)
            return JointOutput(said.video_BCTHW * 0.5, said.audio_BCTF * 0.5)

    guided = guided_by(guidance, Counted(), task=task, guide=Half())
    return guided(LATENT, torch.full((2,), 500.0)), len(asked)


@torch.no_grad()
def test_a_guide_moves_the_modalities_that_have_a_scale() -> None:
    found, asked = with_guide(GuidanceConfig(guide_scale=GuideScale(audio=1.5)), task=Task.T2AV)
    said = plain(Task.T2AV, TEXT, 500.0)
    assert asked == 1
    torch.testing.assert_close(found[Modality.VIDEO], said.video_BCTHW)
    (moved, variance), (own, own_variance) = (x.chunk(2, dim=1) for x in (found[Modality.AUDIO], said.audio_BCTF))
    torch.testing.assert_close(moved, own + 0.5 * (own - 0.5 * own), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(variance, own_variance)


@torch.no_grad()
@pytest.mark.parametrize(
    ("guidance", "task"),
    [
        (GuidanceConfig(), Task.T2AV),
        (GuidanceConfig(guide_scale=GuideScale(audio=2.0)), Task.A2V),  # which makes no sound
        (GuidanceConfig(guide_scale=GuideScale(audio=2.0), interval=(0.6, 1.0)), Task.V2A),
        (GuidanceConfig(guide_scale=GuideScale(audio=2.0), guide_scale_given=GuideScale(video=2.0)), Task.V2A),
        (GuidanceConfig(guide_scale_given=GuideScale(audio=2.0)), Task.T2AV),
    ],
)
def test_a_guide_that_moves_nothing_is_not_asked(guidance: GuidanceConfig, task: Task) -> None:
    found, asked = with_guide(guidance, task=task)
    said = plain(task, TEXT, 500.0)
    assert asked == 0
    for modality in task.made:
        torch.testing.assert_close(found[modality], said[modality])


@torch.no_grad()
def test_a_task_that_is_given_a_picture_has_a_scale_of_its_own() -> None:
    own = GuidanceConfig(guide_scale=GuideScale(audio=1.5), guide_scale_given=GuideScale(audio=3.0))
    for task, alone in ((Task.V2A, 3.0), (Task.T2AV, 1.5)):
        found, _ = with_guide(own, task=task)
        expected, _ = with_guide(GuidanceConfig(guide_scale=GuideScale(audio=alone)), task=task)
        torch.testing.assert_close(found[Modality.AUDIO], expected[Modality.AUDIO])


@torch.no_grad()
def test_guidance_by_text_by_the_given_modality_and_by_the_guide_adds_up() -> None:
    scales = ({"text_scale": 3.0}, {"modality_scale": 1.5}, {"guide_scale": GuideScale(audio=2.0)})
    together = GuidanceConfig.model_validate(scales[0] | scales[1] | scales[2])
    own = plain(Task.V2A, TEXT, 500.0).audio_BCTF
    moved = [
        with_guide(guidance, task=Task.V2A)[0][Modality.AUDIO] - own
        for guidance in (together, *(GuidanceConfig.model_validate(scale) for scale in scales))
    ]
    assert all(difference.abs().max() > 1e-3 for difference in moved)
    torch.testing.assert_close(moved[0], sum(moved[1:]), rtol=1e-4, atol=1e-5)
