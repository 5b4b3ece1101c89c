"""Clips that are guided away from the model's early average: what a guide does, and where there is none to ask."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from generation_toy import LAYOUT, make_exported, make_generator, make_requests

from tasks.sample import guidance_of, way_of
from uniform_core.build import build_run
from uniform_core.config import RunConfig
from uniform_core.diffusion import GuidanceConfig, GuideScale
from uniform_core.errors import ConfigError
from uniform_core.generation.generator import build_severed, build_untrained
from uniform_core.model import SeveredUniForm, UniForm
from uniform_core.training.export import Exported
from uniform_core.types import Modality, Task

GUIDED = GuidanceConfig(guide_scale=GuideScale(audio=2.0))


def with_guide() -> Exported:
    """A model whose guide is a fresh one, which says nothing."""
    exported = make_exported()
    return replace(exported, guide=UniForm(exported.card.model, LAYOUT, seed=1).eval().requires_grad_(False))


def test_a_guide_moves_the_sound_that_it_has_a_scale_for() -> None:
    exported = with_guide()
    # Of T2AV the moved sound reaches the picture with the next step, of A2V no sound is made.
    requests = [request for request in make_requests() if request.task is not Task.T2AV]
    plain, guided = (
        make_generator(exported=exported, guidance=guidance).generate(requests)
        for guidance in (GuidanceConfig(), GUIDED)
    )
    for request, before, after in zip(requests, plain, guided, strict=True):
        assert (before.waveform_N == after.waveform_N).all() == (request.task is Task.A2V)
        assert (before.video_THWC == after.video_THWC).all()


def test_a_model_without_a_guide_cannot_be_guided_by_it() -> None:
    requests = [request for request in make_requests() if request.task is not Task.A2V]
    with pytest.raises(ConfigError, match=r"guide_scale.*found audio 2 and no guide.*Train with train\.guide_at"):
        make_generator(guidance=GUIDED).generate(requests)


def test_the_severed_model_has_a_severed_guide() -> None:
    exported = with_guide()
    severed = build_severed(exported)
    assert isinstance(severed.guide, SeveredUniForm)
    assert exported.guide is not None
    own = exported.guide.state_dict()
    assert all(torch.equal(own[name], value) for name, value in severed.guide.state_dict().items())
    assert build_severed(make_exported()).guide is None


def config() -> RunConfig:
    scales = ["guide_scale.video=1.25", "guide_scale.audio=1.5", 'guide_scale_given={"video":1.0,"audio":2.0}']
    return build_run("nano", overrides=["train.guide_at=0.5", *(f"sample.guidance.{scale}" for scale in scales)])


@pytest.mark.parametrize(
    ("system", "task", "scales"),
    [
        ("uniform", "t2av", '{"audio":1.5,"video":1.25}'),
        ("uniform", "v2a", '{"audio":2.0}'),
        ("uniform", "a2v", None),
        ("untrained", "t2av", None),
        ("codec_round_trip", "t2av", None),
    ],
)
def test_a_row_says_which_scales_acted(system: str, task: str, scales: str | None) -> None:
    row = {"system": system, "task": task, "text_hash": None}
    assert way_of(config(), row)["guide_scale"] == scales
    unguided = [f"sample.guidance.guide_scale.{modality}=1" for modality in Modality]
    unguided.append("sample.guidance.guide_scale_given=null")
    assert way_of(build_run("nano", overrides=unguided), row)["guide_scale"] is None


def test_the_untrained_model_is_guided_by_no_guide() -> None:
    untrained = build_untrained(with_guide(), seed=1)
    assert untrained.guide is None
    guidance = guidance_of(config(), "untrained")
    assert len(make_generator(exported=untrained, guidance=guidance).generate(make_requests())) == 7
