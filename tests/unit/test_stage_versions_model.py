"""What training and sampling make, frozen: whoever changes it bumps their VERSION and writes the new numbers here.

Tolerances leave room for other CPUs and library builds, not for other code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from training_toy import LAYOUT, NULL_LD, make_config, make_source, make_trainer

from uniform_core.corpus.fingerprints import VERSIONS
from uniform_core.diffusion import DdimConfig, GuidanceConfig, IddpmConfig, RectifiedFlowConfig, sample_joint
from uniform_core.diffusion.base import ObjectiveConfig
from uniform_core.model import TextBatch
from uniform_core.seeds import torch_generator
from uniform_core.training.trainer import Trainer
from uniform_core.types import Modality, Task

NULL = TextBatch(NULL_LD[None], torch.ones(1, 1, dtype=torch.bool))


def trained(objective: ObjectiveConfig) -> tuple[Trainer, list[float]]:
    """A toy after six steps, and the loss of each."""
    config = make_config()
    trainer, source = make_trainer(config, objective=objective), make_source(config)
    return trainer, [trainer.train_step(source.batch_at(step)).loss for step in range(config.steps)]


def losses(objective: ObjectiveConfig) -> list[float]:
    trainer, found = trained(objective)
    return [*found, float(sum(mean.double().square().sum() for mean in trainer.averaged_weights().values()))]


def made(objective: ObjectiveConfig) -> list[float]:
    """Mean and spread of what each task makes of fixed noise."""
    trainer, _ = trained(objective)
    text = TextBatch(torch.linspace(-1, 1, 12).view(1, 3, 4), torch.ones(1, 3, dtype=torch.bool))
    ramp = {
        Modality.VIDEO: torch.linspace(-1, 1, int(np.prod(LAYOUT.video_CTHW))).view(1, *LAYOUT.video_CTHW),
        Modality.AUDIO: torch.linspace(1, -1, int(np.prod(LAYOUT.audio_CTF))).view(1, *LAYOUT.audio_CTF),
    }
    numbers = []
    for task in Task:
        latent = sample_joint(
            trainer.model.eval(),
            objective.build(),
            task=task,
            given=None if task.given is None else {task.given: ramp[task.given]},
            text=text,
            null_text=NULL,
            video_rate_hz=8.0,
            sampler=DdimConfig(steps=4, eta=1.0, clamp_x0_sigma=3.0),
            guidance=GuidanceConfig(text_scale=1.5, modality_scale=1.25),
            generators=[torch_generator("frozen", 0)],
            device=torch.device("cpu"),
        )
        for modality in task.made:
            values = latent[modality]
            numbers += [float(values.mean()), float(values.std())]
    return numbers


FLOW, IDDPM = RectifiedFlowConfig(location=0.4, location_given=1.0, shift=3.0), IddpmConfig()
FROZEN: dict[str, tuple[Callable[[], list[float]], str, int, list[float]]] = {
    # name: (output, stage, its VERSION then, numbers then)
    "training, flow": (
        lambda: losses(FLOW),
        "train",
        1,
        [1.886921, 4.23544, 1.95842, 1.878249, 4.09641, 4.078637, 418.7241],
    ),
    "training, iddpm": (
        lambda: losses(IDDPM),
        "train",
        1,
        [1.048774, 1.79048, 1.014993, 0.8405963, 1.87007, 1.661739, 421.1804],
    ),
    "sampling, flow": (
        lambda: made(FLOW),
        "sample",
        3,  # as 2; the files are encoded otherwise
        [0.08567379, 0.7813962, -0.2798693, 0.7017076, -0.08437237, 0.644766, 0.003168356, 0.8121601],
    ),
    "sampling, iddpm": (
        lambda: made(IDDPM),
        "sample",
        3,  # as 2; the files are encoded otherwise
        [0.157869, 2.278415, -1.429212, 1.922176, -0.1508994, 2.266635, 0.1537797, 2.572139],
    ),
}


@pytest.mark.parametrize("name", FROZEN)
def test_output_changes_only_with_its_version(name: str) -> None:
    output, stage, version_then, expected = FROZEN[name]
    assert VERSIONS[stage] == version_then, f"{name}: write the new version's numbers here: {output()}"
    np.testing.assert_allclose(output(), expected, rtol=1e-3, atol=1e-4, err_msg=f"bump the version of {stage}")
