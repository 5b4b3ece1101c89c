"""Training of one modality: nothing of the other informs it, neither its loss nor a single weight nor its samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from training_toy import LAYOUT, MODEL, NULL_LD, make_config, make_source

from tasks.train_worker import new_trainer
from uniform_core.build import build_run
from uniform_core.corpus.unimodal import unimodal_words
from uniform_core.diffusion import IddpmConfig, RectifiedFlowConfig
from uniform_core.diffusion.base import ObjectiveConfig
from uniform_core.model import JointLatent, SeveredUniForm, TextBatch, UniForm
from uniform_core.training.config import TrainConfig
from uniform_core.training.export import ModelCard, export_model, load_exported
from uniform_core.training.fit import fit
from uniform_core.training.overfit import overfit_config
from uniform_core.training.samples import Batch
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.training.trainer import StepReport, Trainer
from uniform_core.types import Modality, Task

T2AV_ALONE = {"t2av": 1.0, "a2v": 0.0, "v2a": 0.0}
OTHER = {Modality.VIDEO: Modality.AUDIO, Modality.AUDIO: Modality.VIDEO}


def unimodal(only: Modality | None, **change: object) -> TrainConfig:
    return make_config(**({"only": only, "task_weights": T2AV_ALONE, "text_drop": 0.0} | change))


def trainer_of(config: TrainConfig, objective: ObjectiveConfig, *, is_severed: bool = True) -> Trainer:
    form = SeveredUniForm if is_severed else UniForm
    return Trainer(
        config,
        form(MODEL, LAYOUT, seed=config.seed),
        objective,
        scale=fit_latent_scale(config.scaling, make_source(config).raw_latents()),
        null_text=TextBatch(NULL_LD[None], torch.ones(1, 1, dtype=torch.bool)),
        video_rate_hz=8.0,
        fingerprint="f",
    )


def with_other(batch: Batch, modality: Modality) -> Batch:
    """The batch with the latents of one modality exchanged for noise."""
    raw = dict(batch.raw)
    raw[modality] = torch.randn(raw[modality].shape, generator=torch.Generator().manual_seed(5)) * 9
    return replace(batch, raw=JointLatent.of(raw))


def weights_after(
    only: Modality, objective: ObjectiveConfig, *, changed: Modality | None, is_severed: bool = True
) -> tuple[dict[str, torch.Tensor], list[StepReport]]:
    """The weights, losses and terms after three steps, with the latents of one modality exchanged in each."""
    config = unimodal(only)
    trainer, source = trainer_of(config, objective, is_severed=is_severed), make_source(config)
    reports = []
    for step in range(3):
        batch = source.batch_at(step)
        reports.append(trainer.train_step(batch if changed is None else with_other(batch, changed)))
    return trainer.model.state_dict(), reports


@pytest.mark.parametrize("objective", [RectifiedFlowConfig(), IddpmConfig()], ids=["flow", "iddpm"])
@pytest.mark.parametrize("only", list(Modality))
def test_no_weight_depends_on_the_other_modality_to_the_bit(only: Modality, objective: ObjectiveConfig) -> None:
    before, reports = weights_after(only, objective, changed=None)
    after, others = weights_after(only, objective, changed=OTHER[only])
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert reports == others
    assert all(set(report.losses) == {only} for report in reports)
    assert all(term.startswith(f"{only}_") for report in reports for term in report.terms)
    own, _ = weights_after(only, objective, changed=only)
    assert not all(torch.equal(value, own[name]) for name, value in before.items())


def test_without_severed_attention_the_other_modality_would_come_in() -> None:
    """So that the test above can fail: the first step's last layer is zero, the later ones read the other's tokens."""
    before, _ = weights_after(Modality.AUDIO, RectifiedFlowConfig(), changed=None, is_severed=False)
    after, _ = weights_after(Modality.AUDIO, RectifiedFlowConfig(), changed=Modality.VIDEO, is_severed=False)
    assert not all(torch.equal(value, after[name]) for name, value in before.items())


def test_it_is_of_t2av_alone_and_left_out_of_what_was_before() -> None:
    with pytest.raises(ValidationError, match="only audio is of T2AV alone"):
        make_config(only="audio")
    plain = make_config()
    assert "only" not in plain.model_dump()
    assert "only" not in plain.fingerprint_params()
    assert unimodal(Modality.AUDIO).fingerprint_params() != unimodal(Modality.VIDEO).fingerprint_params()
    assert plain.learned(Task.V2A) == (Modality.AUDIO,)
    assert plain.learned(Task.T2AV) == tuple(Modality)
    assert overfit_config(unimodal(Modality.VIDEO), steps=9, clips=2).only is Modality.VIDEO


def test_an_exported_model_of_one_modality_comes_back_severed_and_says_which(tmp_path: Path) -> None:
    config = unimodal(Modality.AUDIO, steps=2, validation_clips=0, guide_at=0.5)
    trainer = trainer_of(config, RectifiedFlowConfig())
    fit(trainer, make_source(config))
    card = ModelCard(MODEL, LAYOUT, RectifiedFlowConfig(), trainer.scale, 8.0, "f" * 32, 2, {})
    made_with = {"train": config.model_dump(mode="json")}
    for name, made in (("audio", made_with), ("both", {"train": make_config().model_dump(mode="json")})):
        own = replace(card, made_with=made)
        export_model(tmp_path / name, trainer.averaged_weights(), card=own, guide=trainer.guide)
    audio, both = (load_exported(tmp_path / name) for name in ("audio", "both"))
    assert (audio.card.only, both.card.only) == (Modality.AUDIO, None)
    assert type(audio.model) is type(audio.guide) is SeveredUniForm
    assert type(both.model) is type(both.guide) is UniForm


@pytest.mark.parametrize(("only", "form"), [(None, UniForm), (Modality.VIDEO, SeveredUniForm)])
def test_a_runs_trainer_has_the_model_that_its_config_asks_for(only: Modality | None, form: type[UniForm]) -> None:
    words = [] if only is None else list(unimodal_words(only))
    config = build_run("nano", overrides=words)
    video, audio = torch.randn(4, *config.layout.video_CTHW), torch.randn(4, *config.layout.audio_CTF)
    trainer = new_trainer(
        config,
        config.train.init,
        scale=fit_latent_scale(config.train.scaling, [(video, audio)]),
        null_LD=torch.zeros(1, config.text.width),
        fingerprint="f",
        device=torch.device("cpu"),
    )
    assert type(trainer.model) is form
