"""What the paper leaves open, as options of the model: each does what it says, and nothing where it is off."""

from __future__ import annotations

import pytest
import torch
from generation_toy import TEXT, make_exported, make_generator
from model_cases import CONFIG, LAYOUT, NULL, RATE_HZ, lively_model, random_latent, random_text
from training_toy import MODEL, make_config, make_source, make_trainer

from uniform_core.build import build_run
from uniform_core.diffusion import GuidanceConfig
from uniform_core.errors import ConfigError
from uniform_core.generation.requests import GenerationRequest
from uniform_core.model import JointLatent, JointOutput, TextBatch, UniForm
from uniform_core.model.latent import token_shares
from uniform_core.spec import AudioForm, LatentLayout
from uniform_core.training.samples import Batch
from uniform_core.types import Modality, Task

T_B = torch.tensor([100.0, 900.0])


def said(model: UniForm, task: Task = Task.T2AV) -> JointOutput:
    conditions = model.prepare(task, random_text([3, 5]), RATE_HZ)
    return model(random_latent(2), T_B, conditions)


def with_form(form: AudioForm) -> UniForm:
    """A lively model of a layout that has five frames, so that every form tiles."""
    layout = LatentLayout((4, 5, 4, 4), (8, 10, 2), 1 if form == "chunk_aligned" else 2, audio_form=form)
    model = UniForm(CONFIG.model_copy(update={"audio_form": form}), layout).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(weight))))
    return model


@pytest.mark.parametrize("form", ["time_major", "plain_view", "chunk_aligned"])
@pytest.mark.parametrize("task", list(Task))
def test_every_form_of_audio_columns_is_heard_and_learned_from(form: AudioForm, task: Task) -> None:
    model = with_form(form)
    generator = torch.Generator().manual_seed(0)
    video, audio = (torch.randn(2, *shape, generator=generator) for shape in ((4, 5, 4, 4), (8, 10, 2)))
    audio.requires_grad_(True)
    output = model(JointLatent(video, audio), T_B, model.prepare(task, random_text([3, 5]), RATE_HZ))
    assert output.audio_BCTF.shape == (2, 16, 10, 2)
    (gradient,) = torch.autograd.grad(output.video_BCTHW.square().mean(), audio, retain_graph=True)
    assert bool((gradient != 0).all()), "every value of the sound reaches the picture"
    weights = torch.autograd.grad(output.audio_BCTF.square().mean(), list(model.final_layer.parameters()))
    assert all(bool(weight.isfinite().all()) for weight in weights)


CHUNKS = (
    "spec.duration_s=2.0",
    "spec.video_rate_hz=17",
    "spec.hop=200",
    "video_codec.chunk_frames=17",
    "data.short_s=2.2",
    "instrument.short_s=2.2",
)


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (["model.audio_form=time_major", "task_columns=2"], 2),
        (["model.audio_form=plain_view", "task_columns=2"], 2),
        (["model.audio_form=chunk_aligned", "task_columns=1"], 3),
    ],
)
def test_the_forms_can_be_measured_at_tiny_scale_with_as_many_tokens(words: list[str], columns: int) -> None:
    """With latent frames that lie in time as those of Open-Sora's VAE: else there is nothing to align with."""
    layout = build_run("tiny", overrides=[*CHUNKS, *words]).layout
    assert (layout.video_CTHW[1], layout.audio_CTF[1], layout.audio_columns) == (10, 20, columns)
    assert layout.width == 8


def test_a_form_that_is_not_the_layouts_is_refused() -> None:
    with pytest.raises(ConfigError, match="form of audio columns of the latent layout, time_major; found plain_view"):
        UniForm(CONFIG.model_copy(update={"audio_form": "plain_view"}), LAYOUT)


@torch.no_grad()
def test_embeddings_of_modalities_leave_the_start_as_it_was() -> None:
    plain, embedded = (
        UniForm(CONFIG.model_copy(update={"modality_embedding": on}), LAYOUT, seed=4) for on in (False, True)
    )
    states = plain.state_dict(), embedded.state_dict()
    assert states[1].keys() - states[0].keys() == {"modality_embedder.weight"}
    assert not states[1]["modality_embedder.weight"].any()
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())
    lively = lively_model()
    embedded.load_state_dict(lively.state_dict(), strict=False)
    assert all(torch.equal(said(embedded)[m], said(lively)[m]) for m in Modality)


def test_each_modality_has_an_embedding_of_its_own_that_learns() -> None:
    model = lively_model(modality_embedding=True)
    assert model.modality_embedder is not None
    weight = model.modality_embedder.weight
    (gradient,) = torch.autograd.grad(said(model).video_BCTHW.square().mean(), weight)
    assert bool((gradient != 0).all())
    before = said(model).video_BCTHW
    push_M = torch.linspace(-1, 1, weight.shape[1])  # no constant, which a layer norm would take away
    for kind in range(3):
        with torch.no_grad():
            weight[kind] += push_M
            assert not torch.allclose(said(model).video_BCTHW, before, atol=1e-4), kind
            weight[kind] -= push_M


def test_a_token_of_two_kinds_has_the_mean_of_their_embeddings() -> None:
    """At the paper's size the last token holds the fifth column of audio and the task's (facts/model.md §6.1)."""
    shares = token_shares(LatentLayout((4, 20, 32, 32), (8, 100, 16), 1))
    assert shares.shape == (16 * 19, 3)
    row = [[1.0, 0.0, 0.0]] * 16 + [[0.0, 1.0, 0.0]] * 2 + [[0.0, 0.5, 0.5]]
    assert shares.tolist() == row * 16


@torch.no_grad()
def test_the_given_sound_keeps_time_zero_too() -> None:
    model = lively_model(clean_time="token")
    conditions = model.prepare(Task.A2V, NULL, RATE_HZ)
    assert conditions.is_clean is not None
    assert conditions.is_clean.flatten().tolist() == [False, False, True, False] * 2
    latent = random_latent(1)
    early, late = (model(latent, torch.tensor([t]), conditions) for t in (1.0, 999.0))
    assert not torch.allclose(early.video_BCTHW, late.video_BCTHW, atol=1e-3)


def test_the_reference_null_text_has_the_captions_length_and_nothing_else_of_it() -> None:
    model = lively_model(null_text="reference")
    first, same_lengths = (random_text([3, 5], seed=seed) for seed in (1, 2))
    nulls = model.null_for(first, NULL), model.null_for(same_lengths, NULL)
    assert torch.equal(nulls[0].features_BLD, nulls[1].features_BLD)
    assert torch.equal(nulls[0].features_BLD[0], model.y_embedder.y_embedding[:5])
    assert torch.equal(nulls[0].mask_BL, first.mask_BL)
    assert lively_model().null_for(first, NULL) is NULL
    with pytest.raises(ConfigError, match="at most 6 tokens"):
        model.null_for(random_text([7]), NULL)


@pytest.mark.parametrize("null_text", ["token", "reference"])
def test_the_null_half_of_guidance_depends_at_most_on_a_captions_length(null_text: str) -> None:
    """With scale 0 the null half alone is followed."""
    generator = make_generator(exported=make_exported(null_text=null_text), guidance=GuidanceConfig(text_scale=0.0))
    captions = ["a red ball", "one blue siren", "rain", None]
    lengths = [len(TEXT.build().encode([caption or ""])[0].features_LD) for caption in captions]
    assert lengths == [4, 4, 2, 1]
    ball, siren, rain, none = (
        generator.sample_latents(Task.T2AV, [GenerationRequest("r", Task.T2AV, 0, caption=caption)]).video_BCTHW
        for caption in captions
    )
    torch.testing.assert_close(ball, siren, rtol=1e-5, atol=1e-5)
    for other in (rain, none):
        assert torch.allclose(ball, other, rtol=1e-5, atol=1e-5) == (null_text == "token")


@pytest.mark.parametrize("null_text", ["token", "reference"])
def test_guidance_changes_nothing_without_a_text(null_text: str) -> None:
    """Also beside requests that have one."""
    exported = make_exported(null_text=null_text)
    requests = [GenerationRequest(f"r{n}", Task.T2AV, n, caption=caption) for n, caption in enumerate([None, "rain"])]
    plain, guided = (
        make_generator(exported=exported, guidance=GuidanceConfig(text_scale=scale)).sample_latents(Task.T2AV, requests)
        for scale in (1.0, 5.0)
    )
    for modality in Modality:
        torch.testing.assert_close(guided[modality][0], plain[modality][0], rtol=1e-4, atol=1e-4)
        assert not torch.allclose(guided[modality][1], plain[modality][1], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("null_text", ["token", "reference"])
def test_training_drops_a_text_to_what_sampling_has_without_one(null_text: str) -> None:
    config = make_config(text_drop=1.0)
    trainer = make_trainer(config, model=MODEL.model_copy(update={"null_text": null_text}))
    with torch.no_grad():  # so that text matters before the first step
        trainer.model.final_layer.linear.weight.fill_(0.1)
    batch = make_source(config).batch_at(0)
    text = batch.text
    loss = trainer.fixed_loss(batch).total
    others = TextBatch(text.features_BLD + 1, text.mask_BL)
    shorter = TextBatch(text.features_BLD[:, :1], text.mask_BL[:, :1])
    assert float(trainer.fixed_loss(changed(batch, others)).total) == pytest.approx(float(loss), rel=1e-5)
    same = float(trainer.fixed_loss(changed(batch, shorter)).total) == pytest.approx(float(loss), rel=1e-5)
    assert same == (null_text == "token")


def test_a_clip_without_text_is_trained_under_the_null_text() -> None:
    config = make_config(text_drop=0.0)
    trainer = make_trainer(config, model=MODEL.model_copy(update={"null_text": "reference"}))
    with torch.no_grad():
        trainer.model.final_layer.linear.weight.fill_(0.1)
    batch = make_source(config).batch_at(0)
    assert len(set(batch.has_text)) == 2, "some have one, some have none"
    places = torch.tensor([not has for has in batch.has_text])
    features = batch.text.features_BLD.clone()
    features[places] += 1  # the encoding of "", which under the reference form nobody reads
    loss = trainer.fixed_loss(batch).total
    assert float(trainer.fixed_loss(changed(batch, TextBatch(features, batch.text.mask_BL))).total) == float(loss)
    features[~places] += 1
    assert float(trainer.fixed_loss(changed(batch, TextBatch(features, batch.text.mask_BL))).total) != float(loss)


def changed(batch: Batch, text: TextBatch) -> Batch:
    return Batch(batch.step, batch.task, batch.positions, batch.clip_ids, batch.raw, text, batch.has_text)
