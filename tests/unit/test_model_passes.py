"""Blocks that are run again in backward, or compiled, say what plain ones say; texts are read once, unpadded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from generation_toy import make_exported, make_generator, make_requests
from model_cases import LAYOUT, NULL, RATE_HZ, lively_model, random_latent, random_text
from torch import Tensor
from training_toy import make_config, make_source, make_trainer

from uniform_core.diffusion import EulerConfig, GuidanceConfig, RectifiedFlowConfig, sample_joint
from uniform_core.model import TextBatch, UniForm, passes
from uniform_core.model.attention import CrossAttention
from uniform_core.model.block import Block
from uniform_core.model.config import BlockForm
from uniform_core.seeds import torch_generator
from uniform_core.training.trainer import TRIM_MULTIPLE, heard_text
from uniform_core.types import Modality, Task


def gradients(form: BlockForm, *, autocast: bool = False) -> dict[str, Tensor]:
    """The gradient of every weight that a fixed weighing of the output has."""
    model = lively_model(depth=3, clean_time="token").train()
    model.block_form = form
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        conditions = model.prepare(Task.V2A, random_text([3, 5]), RATE_HZ)
        output = model(random_latent(2), torch.tensor([100.0, 900.0]), conditions)
    sum((output[m] * torch.linspace(-1, 1, output[m].numel()).view(output[m].shape)).sum() for m in Modality).backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_gradients_of_recomputed_blocks_are_the_same_to_the_bit(every: int, autocast: bool) -> None:
    kept, again = gradients(BlockForm(), autocast=autocast), gradients(BlockForm(every), autocast=autocast)
    assert kept.keys() == again.keys()
    assert len(kept) > 100
    assert [name for name in kept if not torch.equal(kept[name], again[name])] == []


@pytest.mark.parametrize(("every", "runs"), [(0, 6), (1, 12), (2, 9), (4, 8)])
def test_each_kth_block_runs_again_in_backward(every: int, runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    plain = Block.forward
    monkeypatch.setattr(Block, "forward", lambda self, *a, **k: calls.append(self) or plain(self, *a, **k))
    gradients(BlockForm(every))
    assert len(calls) == runs


def test_nothing_is_kept_to_be_run_again_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uniform_core.model.passes.checkpoint", None)
    model = lively_model()
    model.block_form = BlockForm(1)
    with torch.no_grad():
        model(random_latent(1), torch.zeros(1), model.prepare(Task.T2AV, NULL, RATE_HZ))


def test_a_training_with_recomputed_blocks_is_the_same_to_the_bit() -> None:
    ways = [
        {},
        {"activation_checkpointing": "all"},
        {"activation_checkpointing": "every_k", "activation_checkpointing_k": 2},
    ]
    trainers = [make_trainer(make_config(**way)) for way in ways]
    assert [trainer.model.block_form.recompute_every for trainer in trainers] == [0, 1, 2]
    for trainer in trainers:
        for step in range(3):
            trainer.train_step(make_source(trainer.config).batch_at(step))
    states = [trainer.checkpoint(extra={}).model for trainer in trainers]
    for other in states[1:]:
        assert [name for name in other if not torch.equal(states[0][name], other[name])] == []


COMPILED = Path(__file__).parent.parent / "compiled_blocks.py"


@pytest.fixture(scope="module")
def compiled() -> dict[str, float]:
    """What a process says that compiles blocks; apart, since checks of shapes in annotations do not compile."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, COMPILED], capture_output=True, text=True, env=environment, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_compiled_blocks_say_what_plain_ones_say(compiled: dict[str, float]) -> None:
    assert compiled["output_difference"] < 1e-5
    assert compiled["gradient_difference"] < 1e-5
    assert compiled["recomputed_gradient_difference"] < 1e-6


def test_blocks_of_one_kind_share_what_is_compiled(compiled: dict[str, float]) -> None:
    """Six blocks, two kinds; a second length of texts makes one more of each, and a third none."""
    assert compiled["graphs_of_one_length"] == 2
    assert compiled["graphs_of_more_lengths"] == 4


def test_training_and_sampling_compile_where_they_are_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    backends = []
    monkeypatch.setattr(passes, "_compiled", lambda backend: backends.append(backend) or passes._plain)
    for compile_ in (False, True):
        trainer = make_trainer(make_config(compile=compile_))
        trainer.train_step(make_source(trainer.config).batch_at(0))
        assert (set(backends) == {"inductor"}) is compile_
    backends.clear()
    exported = make_exported()
    for compile_ in (False, True):
        generator = make_generator(exported=exported, compile=compile_)
        backends.clear()
        generator.sample_latents(Task.T2AV, [r for r in make_requests() if r.task is Task.T2AV])
        assert (set(backends) == {"inductor"}) is compile_
    assert exported.model.block_form == BlockForm(), "others sample with the same weights"


def sampled(model: UniForm, *, steps: int) -> None:
    sample_joint(
        model,
        RectifiedFlowConfig().build(),
        task=Task.T2AV,
        given=None,
        text=random_text([3, 5]),
        null_text=NULL,
        video_rate_hz=RATE_HZ,
        sampler=EulerConfig(steps=steps),
        guidance=GuidanceConfig(text_scale=3.0),
        generators=[torch_generator("kv", n) for n in range(2)],
    )


def test_keys_of_texts_are_made_once_a_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps there are: by each block for the guided batch alone, where every step is guided."""
    calls = []
    plain = CrossAttention.keys
    monkeypatch.setattr(CrossAttention, "keys", lambda self, *a: calls.append(self) or plain(self, *a))
    model = lively_model()
    counts = []
    for steps in (2, 9):
        calls.clear()
        sampled(model, steps=steps)
        counts.append(len(calls))
    assert counts == [len(model.blocks())] * 2


def test_texts_are_cut_where_the_longest_ends() -> None:
    text = random_text([3, 5]).padded(12)
    short = text.trimmed()
    assert short.tokens == 5
    assert torch.equal(short.features_BLD, text.features_BLD[:, :5])
    assert short.mask_BL.sum(1).tolist() == [3, 5]
    assert text.trimmed(4).tokens == 8
    assert text.trimmed(32).tokens == 32, "also longer than they came, where keys are aligned"


@pytest.mark.parametrize(("device", "tokens"), [("cpu", 30), ("meta", TRIM_MULTIPLE)])
def test_training_reads_no_padding_on_an_accelerator(device: str, tokens: int) -> None:
    """The longest text of the batch is dropped: nobody needs its length any more."""
    text = random_text([3, 30])
    heard = heard_text(text, NULL, keep_B=torch.tensor([True, False]), device=torch.device(device))
    assert heard.tokens == tokens
    assert heard.features_BLD.device.type == heard.mask_BL.device.type == device


def test_a_trimmed_text_is_heard_alike() -> None:
    model, latent, t_B = lively_model(), random_latent(2), torch.tensor([100.0, 900.0])
    texts: list[TextBatch] = [random_text([3, 5]).padded(12)]
    texts.append(texts[0].trimmed())
    with torch.no_grad():
        padded, trimmed = (model(latent, t_B, model.prepare(Task.T2AV, text, RATE_HZ)) for text in texts)
    for modality in Modality:
        torch.testing.assert_close(padded[modality], trimmed[modality], rtol=1e-5, atol=1e-5)
    assert padded[Modality.VIDEO].shape[-1] == LAYOUT.video_CTHW[3]
