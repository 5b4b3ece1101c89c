"""Severed attention: neither modality reads the other, to the bit; the whole model does."""

from __future__ import annotations

import pytest
import torch
from model_cases import CONFIG, LAYOUT, NULL, RATE_HZ, lively_model, random_latent, random_text

from uniform_core.diffusion import DdimConfig, GuidanceConfig, RectifiedFlowConfig, sample_joint
from uniform_core.errors import ConfigError
from uniform_core.model import JointLatent, JointOutput, SeveredUniForm, UniForm
from uniform_core.model.severed import severed_tokens
from uniform_core.seeds import torch_generator
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality, Task

T_B = torch.tensor([100.0, 900.0])
LATENT, OTHER = random_latent(2), random_latent(2, seed=1)


def models(**changes: object) -> tuple[UniForm, SeveredUniForm]:
    """A whole model of depth 2, so that what task tokens carried would arrive, and the same severed."""
    whole = lively_model(depth=2, **changes)
    severed = SeveredUniForm(whole.config, LAYOUT)
    severed.load_state_dict(whole.state_dict())
    return whole, severed.eval()


@torch.no_grad()
def said(model: UniForm, task: Task, latent: JointLatent, *, text_seed: int = 0) -> JointOutput:
    return model(latent, T_B, model.prepare(task, random_text([3, 5], seed=text_seed), RATE_HZ))


def with_other(modality: Modality) -> JointLatent:
    """The latents with those of one modality exchanged."""
    return JointLatent.of({**LATENT, modality: OTHER[modality]})


@pytest.mark.parametrize("clean_time", ["global", "token"])
@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize(("read", "changed"), [(Modality.AUDIO, Modality.VIDEO), (Modality.VIDEO, Modality.AUDIO)])
def test_neither_modality_reads_the_other(task: Task, read: Modality, changed: Modality, clean_time: str) -> None:
    whole, severed = models(clean_time=clean_time)
    before, after = (said(severed, task, latent)[read] for latent in (LATENT, with_other(changed)))
    assert torch.equal(before, after)
    before, after = (said(whole, task, latent)[read] for latent in (LATENT, with_other(changed)))
    assert not torch.allclose(before, after, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("modality", list(Modality))
def test_each_still_reads_itself_its_text_and_its_task(modality: Modality) -> None:
    _, severed = models()
    plain = said(severed, Task.T2AV, LATENT)[modality]
    for other in (
        said(severed, Task.T2AV, with_other(modality)),
        said(severed, Task.T2AV, LATENT, text_seed=1),
        said(severed, Task.V2A, LATENT),
    ):
        assert not torch.allclose(plain, other[modality], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("task", [Task.V2A, Task.A2V])
def test_a_sampled_clip_with_guidance_does_not_depend_on_what_is_given(task: Task) -> None:
    """Every pass of guidance is severed, by text as well as by the given modality."""
    assert task.given is not None

    def sampled(model: UniForm, given: JointLatent) -> torch.Tensor:
        latent = sample_joint(
            model,
            RectifiedFlowConfig().build(),
            task=task,
            given=given,
            text=random_text([3, 5]),
            null_text=NULL,
            video_rate_hz=RATE_HZ,
            sampler=DdimConfig(steps=3, eta=1.0, clamp_x0_sigma=3.0),
            guidance=GuidanceConfig(text_scale=2.0, modality_scale=1.5),
            generators=[torch_generator("severed", number) for number in range(2)],
        )
        return latent[task.made[0]]

    whole, severed = models()
    assert torch.equal(sampled(severed, LATENT), sampled(severed, OTHER))
    assert not torch.allclose(sampled(whole, LATENT), sampled(whole, OTHER), rtol=1e-3, atol=1e-3)


def test_task_tokens_see_only_one_another_and_everyone_sees_them() -> None:
    sees_SS = severed_tokens(LatentLayout((4, 3, 4, 4), (8, 6, 2), 2))  # a row: video, video, audio, task
    row = torch.tensor([[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]], dtype=torch.bool)
    assert torch.equal(sees_SS, row.repeat(2, 2))


def test_a_token_of_sound_and_task_counts_as_sound() -> None:
    sees_SS = severed_tokens(LatentLayout((4, 2, 2, 2), (4, 2, 2), 1))  # a row: video, then audio and task in one
    assert torch.equal(sees_SS, torch.eye(2, dtype=torch.bool))


def test_a_token_of_both_modalities_cannot_be_severed() -> None:
    layout = LatentLayout((4, 2, 2, 3), (4, 2, 2), 2)
    model = SeveredUniForm(CONFIG, layout)
    with pytest.raises(ConfigError, match=r"token columns \[1\] of 3 with columns of both"):
        model.prepare(Task.V2A, random_text([1]), RATE_HZ)
