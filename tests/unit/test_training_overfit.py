"""Overfitting a few clips: a sound model brings every error near zero; a broken one shows which it does not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from training_toy import LAYOUT, MODEL, NULL_LD, make_config, make_source

from uniform_core.diffusion import OBJECTIVES, ObjectiveConfig, RectifiedFlowConfig
from uniform_core.model import Conditions, JointOutput, TextBatch, UniForm
from uniform_core.progress import ProgressEvent, silent
from uniform_core.training.config import TaskWeights, TrainConfig
from uniform_core.training.overfit import NEAR_ZERO, Learned, overfit, overfit_config
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.training.trainer import Trainer
from uniform_core.types import Modality, Task

CLIPS = 2
ROOMY = MODEL.model_copy(update={"hidden": 64, "depth": 2})
RUN = make_config(batch=16, lr=1e-2, betas=(0.9, 0.98), text_drop=0.5, text_drop_given=0.9)


class SeesNoNoise(UniForm):
    """Broken: what is noisy does not reach it."""

    def forward(self, noisy: Mapping[Modality, Tensor], t_B: Tensor, conditions: Conditions) -> JointOutput:
        hidden = {m: z if m is conditions.task.given else torch.zeros_like(z) for m, z in noisy.items()}
        return super().forward(hidden, t_B, conditions)


class SoundDoesNotLearn(UniForm):
    """Broken: no gradient comes back from the sound."""

    def forward(self, noisy: Mapping[Modality, Tensor], t_B: Tensor, conditions: Conditions) -> JointOutput:
        said = super().forward(noisy, t_B, conditions)
        return JointOutput(said.video_BCTHW, said.audio_BCTF.detach() + 0 * said.audio_BCTF)


def learned(
    *,
    kind: type[UniForm] = UniForm,
    objective: ObjectiveConfig | None = None,
    config: TrainConfig = RUN,
    steps: int = 300,
    listener=silent,
) -> tuple[Learned, ...]:
    config = overfit_config(config, steps=steps, clips=CLIPS)
    source = make_source(config, clips=CLIPS)
    trainer = Trainer(
        config,
        kind(ROOMY, LAYOUT, seed=0),
        objective or RectifiedFlowConfig(),
        scale=fit_latent_scale(config.scaling, source.raw_latents()),
        null_text=TextBatch(NULL_LD[None], torch.ones(1, 1, dtype=torch.bool)),
        video_rate_hz=8.0,
        fingerprint="f",
    )
    return overfit(trainer, source, listener=listener)


@pytest.mark.parametrize("objective", [member.example() for member in OBJECTIVES], ids=lambda member: member.kind)
def test_a_sound_model_brings_every_error_near_zero(objective: ObjectiveConfig) -> None:
    parts = learned(objective=objective)
    assert [(part.task, part.modality) for part in parts] == [(task, m) for task in Task for m in task.made]
    assert all(part.is_near_zero for part in parts), [round(part.ratio, 4) for part in parts]
    assert all(part.first > 0.5 for part in parts), "the start is that of an output of zero"


def test_a_rate_of_nothing_learns_nothing() -> None:
    parts = learned(config=RUN.model_copy(update={"lr": 1e-12}), steps=5)
    assert all(part.ratio == pytest.approx(1.0, abs=1e-3) and not part.is_near_zero for part in parts)


def test_a_model_that_does_not_see_its_noisy_input_is_found() -> None:
    """What can be learned without it, the mean of the clips, is far from near zero."""
    parts = learned(kind=SeesNoNoise, steps=120)
    assert all(part.ratio > 3 * NEAR_ZERO for part in parts), [round(part.ratio, 4) for part in parts]


def test_the_modality_that_does_not_learn_is_named() -> None:
    parts = learned(kind=SoundDoesNotLearn)
    assert {part.modality for part in parts if not part.is_near_zero} == {Modality.AUDIO}
    assert {part.modality for part in parts if part.is_near_zero} == {Modality.VIDEO}


def test_a_task_that_the_run_does_not_train_is_not_asked_for() -> None:
    parts = learned(config=RUN.model_copy(update={"task_weights": TaskWeights(t2av=0.0, a2v=0.5, v2a=2.0)}), steps=1)
    assert [part.task for part in parts] == [Task.A2V, Task.V2A]


def test_progress_is_told_under_its_own_name() -> None:
    events: list[ProgressEvent] = []
    learned(steps=3, listener=events.append)
    assert [(event.stage, event.done, event.total) for event in events] == [("overfit", n, 3) for n in (1, 2, 3)]


def test_the_run_s_own_values_stay() -> None:
    config = overfit_config(RUN, steps=40, clips=20)
    assert (config.lr, config.betas, config.precision, config.scaling) == (RUN.lr, RUN.betas, "float32", RUN.scaling)
    assert (config.batch, config.steps, config.warmup_steps) == (20, 40, 2)
    assert {config.text_drop_of(task) for task in Task} == {0.0}
