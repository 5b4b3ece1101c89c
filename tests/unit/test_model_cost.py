"""The arithmetic of a model's cost is what torch counts: parameters, FLOPs, bytes kept for backward."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from uniform_core.model import ModelConfig, TextBatch, UniForm, cost, kernels
from uniform_core.model.config import BlockForm
from uniform_core.presets import nano, tiny
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality, Task

PAPER = LatentLayout((4, 20, 32, 32), (8, 100, 16), 1)
XL2 = ModelConfig(hidden=1152, depth=28, heads=16, text_width=4096, max_text_tokens=300)
SMALL = LatentLayout((4, 10, 16, 16), (8, 50, 8), 1)
NARROW = ModelConfig(hidden=64, depth=1, heads=4, text_width=8, max_text_tokens=6)

CASES = {
    "xl2": (XL2, PAPER),
    "xl2, flan-t5-large, no qk-norm": (XL2.model_copy(update={"text_width": 1024, "qk_norm": False}), PAPER),
    "tiny": (tiny().model, tiny().layout),
    "nano": (nano().model, nano().layout),
    "a vector for each modality": (NARROW.model_copy(update={"modality_embedding": True}), SMALL),
    "another ratio and patch": (
        NARROW.model_copy(update={"mlp_ratio": 2.5, "depth": 3, "patch_THW": (2, 2, 1)}),
        LatentLayout(SMALL.video_CTHW, SMALL.audio_CTF, 1, (2, 2, 1)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_parameters_are_those_of_the_model(case: str) -> None:
    config, layout = CASES[case]
    model = UniForm(config, layout, device="meta")
    assert cost.count_parameters(config, layout) == sum(weight.numel() for weight in model.parameters())


def test_xl2_has_the_parameters_of_stdit3_and_the_task_embedder() -> None:
    assert cost.count_parameters(XL2, PAPER) == 1_207_643_936 + 3 * 4 * 32


def counted(config: ModelConfig, layout: LatentLayout, *, text_tokens: int) -> int:
    """The FLOPs of a forward pass of one clip, as torch counts them, without computing anything."""
    model = UniForm(config, layout, device="meta")
    features = torch.zeros(1, text_tokens, config.text_width, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        text = TextBatch(features, torch.ones(1, text_tokens, dtype=torch.bool))
        conditions = model.prepare(Task.T2AV, text, 17.0)
        model(latents(layout, 1, device="meta"), torch.zeros(1, device="meta"), conditions)
    return counter.get_total_flops()


def latents(layout: LatentLayout, batch: int, *, device: str = "cpu") -> dict[Modality, Tensor]:
    return {
        Modality.VIDEO: torch.zeros(batch, *layout.video_CTHW, device=device),
        Modality.AUDIO: torch.zeros(batch, *layout.audio_CTF, device=device),
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("text_tokens", [1, 7])
def test_a_forward_pass_has_the_flops_that_torch_counts(case: str, text_tokens: int) -> None:
    config, layout = CASES[case]
    found = cost.forward_flops(config, layout, text_tokens=text_tokens).total
    assert found == counted(config, layout, text_tokens=text_tokens)


@pytest.mark.parametrize(("text_tokens", "tera"), [(120, 13.13), (300, 13.47)])
def test_xl2_has_the_flops_of_the_facts(text_tokens: int, tera: float) -> None:
    flops = cost.forward_flops(XL2, PAPER, text_tokens=text_tokens)
    assert flops.total / 1e12 == pytest.approx(tera, abs=0.005)
    assert flops.spatial_attention / 1e12 == pytest.approx(0.239, abs=0.001)
    assert flops.temporal_attention / 1e12 == pytest.approx(0.0157, abs=0.0001)


def test_training_does_three_forwards_and_those_that_it_recomputes() -> None:
    forward = cost.forward_flops(XL2, PAPER, text_tokens=120)
    shares = [
        cost.train_flops(XL2, PAPER, text_tokens=120, recompute_every=every) / forward.total for every in (0, 2, 1)
    ]
    assert shares[0] == 3
    assert shares[1:] == pytest.approx([3.5, 4], abs=0.005), (
        "all but texts, patches and codes, which are not recomputed"
    )
    guided = cost.generation_flops(XL2, PAPER, text_tokens=120, steps=30)
    assert 785e12 < guided < 788e12, "60 forwards, texts prepared once"


class _Kept:
    """The bytes that autograd keeps for backward, besides the weights and their copies in another precision."""

    def __init__(self, model: UniForm) -> None:
        self._own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
        self._shapes = {weight.shape for weight in model.parameters()}
        self.storages: dict[int, torch.UntypedStorage] = {}

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if (
            storage.data_ptr() not in self._own
            and tensor.shape not in self._shapes
            and tensor.mT.shape not in self._shapes
        ):
            self.storages[storage.data_ptr()] = storage
        return tensor

    @property
    def total(self) -> int:
        return sum(storage.nbytes() for storage in self.storages.values())


def kept_bytes(config: ModelConfig, *, precision: str, form: BlockForm, batch: int = 2) -> int:
    model = UniForm(config, SMALL)
    model.block_form = form
    kept = _Kept(model)
    text = TextBatch(torch.zeros(batch, 3, config.text_width), torch.ones(batch, 3, dtype=torch.bool))
    with (
        torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"),
    ):
        model(latents(SMALL, batch), torch.zeros(batch), model.prepare(Task.T2AV, text, 17.0))
    return kept.total


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.parametrize("ratio", [4.0, 2.0])
def test_the_bytes_that_blocks_keep_are_those_of_the_estimate(
    precision: str, ratio: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "is_eager_cpu", lambda _x: False)  # as on an accelerator
    depths = [NARROW.model_copy(update={"mlp_ratio": ratio, "depth": depth}) for depth in (1, 3)]
    found = [kept_bytes(config, precision=precision, form=BlockForm()) for config in depths]
    expected = [cost.train_memory(c, SMALL, micro_batch=2, precision=precision).activations for c in depths]
    assert found[1] - found[0] == pytest.approx(expected[1] - expected[0], rel=0.05)


def test_a_recomputed_block_keeps_its_input_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "is_eager_cpu", lambda _x: False)
    deep = NARROW.model_copy(update={"depth": 3})
    whole, second, all_of_them = (
        kept_bytes(deep, precision="bfloat16", form=BlockForm(recompute_every=every)) for every in (0, 2, 1)
    )
    expected = [
        cost.train_memory(deep, SMALL, micro_batch=2, precision="bfloat16", recompute_every=every).activations
        for every in (0, 2, 1)
    ]
    one = (expected[0] - expected[2] + expected[2]) / (2 * deep.depth)
    assert whole - second == pytest.approx(expected[0] - expected[1] + one, rel=0.05)
    assert whole - all_of_them == pytest.approx(expected[0] - expected[2] + one, rel=0.05)


def test_states_and_activations_at_the_papers_size() -> None:
    memory = cost.train_memory(XL2, PAPER, micro_batch=1, precision="bfloat16")
    assert memory.states / cost.count_parameters(XL2, PAPER) == 24
    assert memory.activations == pytest.approx(27.7e9, rel=0.01)
    every = cost.train_memory(XL2, PAPER, micro_batch=1, precision="bfloat16", recompute_every=1)
    assert every.activations < 0.1 * memory.activations
    assert every.total == every.states + every.casts + every.activations
    assert math.isclose(
        cost.train_memory(XL2, PAPER, micro_batch=4, precision="bfloat16").activations, 4 * memory.activations
    )
