"""UniForm as a module: names, start, conditions, switches, errors."""

from __future__ import annotations

import pytest
import torch
from model_cases import CONFIG, LAYOUT, NULL, RATE_HZ, lively_model, random_latent, random_text

from uniform_core.errors import ConfigError
from uniform_core.model import JointOutput, ModelConfig, STDiT3, TextBatch, UniForm, drop_text
from uniform_core.model.embed import grid_positions
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality, Task

MODEL = lively_model()
T_B = torch.tensor([100.0, 900.0])


def said(
    task: Task = Task.T2AV, *, text: TextBatch | None = None, model: UniForm = MODEL, t_B: torch.Tensor = T_B, seed=0
) -> JointOutput:
    with torch.no_grad():
        conditions = model.prepare(task, text or random_text([3, 5]), RATE_HZ)
        return model(random_latent(2, seed=seed), t_B, conditions)


def differs(one: JointOutput, other: JointOutput) -> bool:
    return any(not torch.allclose(one[m], other[m], atol=1e-5) for m in Modality)


def test_names_are_those_of_stdit3_and_the_task_embedder() -> None:
    config = CONFIG.model_copy(update={"depth": 2})
    trunk, model = STDiT3(config, channels=4), UniForm(config, LAYOUT, device="meta")
    shapes = [{name: tuple(value.shape) for name, value in one.state_dict().items()} for one in (trunk, model)]
    assert shapes[1].items() - shapes[0].items() == {("task_embedder.weight", (3, 4 * 4))}
    assert shapes[0].keys() <= shapes[1].keys()
    assert all(value.is_meta for value in model.state_dict().values())


def test_it_starts_with_silent_parts_and_zero_output() -> None:
    model = UniForm(CONFIG, LAYOUT)
    output = said(model=model)
    assert not output.video_BCTHW.any()
    assert not output.audio_BCTF.any()
    silent = [model.fps_embedder.mlp[2].weight, model.final_layer.linear.weight]
    for block in model.temporal_blocks:
        silent += [block.attn.proj.weight, block.cross_attn.proj.weight, block.mlp.fc2.weight]
    assert not any(weight.any() for weight in silent)
    nonzero = [name for name, weight in model.named_parameters() if "weight" in name and weight.any()]
    assert len(nonzero) == sum("weight" in name for name, _ in model.named_parameters()) - len(silent)
    assert 0.5 < float(model.task_embedder.weight.detach().std()) < 1.5


def test_weights_depend_on_the_seed_and_on_nothing_global() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (UniForm(CONFIG, LAYOUT, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["x_embedder.proj.weight"], other["x_embedder.proj.weight"])
    assert all(value.isfinite().all() for value in one.values())


def test_output_is_float32_with_noise_and_variance_of_both_modalities() -> None:
    for model in (MODEL, lively_model().to(torch.bfloat16)):
        output = said(model=model)
        assert output.video_BCTHW.shape == (2, 8, *LAYOUT.video_CTHW[1:])
        assert output.audio_BCTF.shape == (2, 16, *LAYOUT.audio_CTF[1:])
        assert output.video_BCTHW.dtype == output.audio_BCTF.dtype == torch.float32


def test_bfloat16_says_nearly_the_same_and_keeps_its_frequencies() -> None:
    half = lively_model().to(torch.bfloat16)
    assert half.rope.freqs.dtype == torch.float32
    assert torch.equal(half.rope.freqs, MODEL.rope.freqs)
    exact, rounded = said(), said(model=half)
    for modality in Modality:
        scale = float(exact[modality].std())
        assert float((exact[modality] - rounded[modality]).abs().mean()) < 0.05 * scale


@pytest.mark.parametrize("change", ["task", "time", "text", "latent"])
def test_every_input_matters(change: str) -> None:
    changed = {
        "task": lambda: said(Task.V2A),
        "time": lambda: said(t_B=T_B + 50),
        "text": lambda: said(text=random_text([3, 5], seed=1)),
        "latent": lambda: said(seed=1),
    }[change]()
    assert differs(said(), changed)


def test_what_stands_behind_a_texts_end_is_not_read() -> None:
    text = random_text([3, 5])
    clean = TextBatch(text.features_BLD * text.mask_BL[..., None], text.mask_BL)
    assert not differs(said(text=text), said(text=clean))
    assert not differs(said(text=text), said(text=text.padded(9)))
    assert differs(said(text=text), said(text=TextBatch(text.features_BLD, torch.ones_like(text.mask_BL))))


def test_a_dropped_text_leaves_nothing_of_its_caption() -> None:
    keep = torch.tensor([True, False])
    outputs = [
        said(text=drop_text(random_text(lengths, seed=seed), NULL, keep_B=keep))
        for lengths, seed in [([3, 5], 1), ([3, 2], 2)]
    ]
    for modality in Modality:
        torch.testing.assert_close(outputs[0][modality][1], outputs[1][modality][1], rtol=1e-5, atol=1e-5)
    dropped = drop_text(random_text([3, 5]), NULL, keep_B=keep)
    assert dropped.mask_BL.sum(1).tolist() == [3, 1]
    kept_all = drop_text(random_text([3, 5]), NULL, keep_B=torch.tensor([True, True]))
    assert not differs(said(text=kept_all), said())


@pytest.mark.parametrize("normed", [False, True])
def test_texts_are_heard_by_any_size_of_queries_where_these_are_normed(normed: bool) -> None:
    """Without norms, queries that grow make each token hear one word alone; with them, they say what they said."""
    model = lively_model(text_qk_norm=normed)
    before = said(model=model)
    with torch.no_grad():
        for block in (*model.spatial_blocks, *model.temporal_blocks):
            block.cross_attn.q_linear.weight.mul_(1e3)
            block.cross_attn.q_linear.bias.mul_(1e3)
    assert differs(before, said(model=model)) is not normed


def test_norms_of_the_attention_to_texts_have_names_of_their_own() -> None:
    plain, normed = (
        UniForm(CONFIG.model_copy(update={"text_qk_norm": norm}), LAYOUT, device="meta").state_dict()
        for norm in (False, True)
    )
    added = normed.keys() - plain.keys()
    assert plain.keys() <= normed.keys()
    assert {name.split(".", 2)[2] for name in added} == {"cross_attn.q_norm.weight", "cross_attn.k_norm.weight"}


def test_only_the_given_tokens_keep_time_zero_under_clean_time_token() -> None:
    model = lively_model(clean_time="token")
    assert not differs(said(model=model), said())  # T2AV gives nothing
    assert differs(said(Task.V2A, model=model), said(Task.V2A))
    conditions = model.prepare(Task.V2A, NULL, RATE_HZ)
    assert conditions.is_clean is not None
    assert conditions.is_clean.flatten().tolist() == [True, True, False, False] * 2
    at_zero = torch.zeros(2)
    zero_for_all = said(Task.V2A, t_B=at_zero)
    assert not differs(said(Task.V2A, model=model, t_B=at_zero), zero_for_all)


def test_video_tokens_keep_their_places_when_anchored() -> None:
    alone = grid_positions(16, 16, scale=0.5)
    anchored = grid_positions(16, 19, scale=0.5, anchor_HW=(16, 16))
    assert torch.equal(anchored[0], alone[0])
    assert torch.equal(anchored[1][:16], alone[1])
    assert anchored[1][16:].tolist() == [32.0, 34.0, 36.0]
    assert differs(said(), said(model=lively_model(position="reference")))


def test_wrong_calls_are_named() -> None:
    with pytest.raises(ConfigError, match=r"text rows \[1\]: expected at least one real token"):
        MODEL.prepare(Task.T2AV, TextBatch(torch.zeros(2, 1, 8), torch.tensor([[True], [False]])), RATE_HZ)
    with pytest.raises(ConfigError, match=r"width 8 \(model.text_width\); found width 4"):
        MODEL.prepare(Task.T2AV, TextBatch(torch.zeros(1, 1, 4), torch.ones(1, 1, dtype=torch.bool)), RATE_HZ)
    with pytest.raises(ConfigError, match="patch of the latent layout"):
        UniForm(CONFIG, LatentLayout((4, 3, 4, 4), (8, 6, 2), 2, (1, 1, 1)))
    with pytest.raises(ValueError, match="RoPE turns pairs"):
        ModelConfig(hidden=36, depth=1, heads=4, text_width=8, max_text_tokens=4)
