"""AdamW over vectors does what torch's does weight by weight, and its state goes through a checkpoint."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from uniform_core.errors import ConfigError
from uniform_core.training.config import TrainConfig
from uniform_core.training.optimizer import VectorAdamW

CONFIG = TrainConfig(steps=10, lr=0.05, weight_decay=0.1, betas=(0.9, 0.98))


def a_model() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 2))


def a_loss(model: nn.Module, step: int) -> Tensor:
    inputs = torch.linspace(-1, 1, 20).view(4, 5) * (1 + step)
    loss: Tensor = model(inputs).square().mean()
    return loss


def trained(model: nn.Module, optimizer: VectorAdamW, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        a_loss(model, step).backward()  # type: ignore[no-untyped-call]
        optimizer.step(optimizer.gradient_N(), lr=0.05 / (1 + step))


def test_it_updates_as_torchs_own_does_weight_by_weight_and_decays_matrices_alone() -> None:
    model, peer = a_model(), a_model()
    groups = [
        {"params": [w for w in peer.parameters() if w.ndim >= 2], "weight_decay": 0.1},
        {"params": [w for w in peer.parameters() if w.ndim < 2], "weight_decay": 0.0},
    ]
    own = torch.optim.AdamW(groups, lr=0.05, betas=(0.9, 0.98), eps=CONFIG.adam_eps)
    trained(model, VectorAdamW(CONFIG, model), range(5))
    for step in range(5):
        own.zero_grad()
        a_loss(peer, step).backward()  # type: ignore[no-untyped-call]
        for group in own.param_groups:
            group["lr"] = 0.05 / (1 + step)
        own.step()
    for (name, weight), (_, expected) in zip(model.named_parameters(), peer.named_parameters(), strict=True):
        assert torch.allclose(weight, expected, atol=1e-6), name
    assert not torch.allclose(model[0].weight, a_model()[0].weight), "five steps move the weights"


def test_weights_that_are_loaded_are_those_that_the_next_step_moves() -> None:
    model = a_model()
    optimizer = VectorAdamW(CONFIG, model)
    model.load_state_dict({name: torch.zeros_like(value) for name, value in model.state_dict().items()})
    assert not optimizer.gradient_N().any(), "no backward, no gradient"
    optimizer.step(torch.ones_like(optimizer.gradient_N()), lr=0.5)
    for weight in model.parameters():
        assert torch.allclose(weight, torch.full_like(weight, -0.5)), "zero less one normed step of rate .5"


def test_its_state_by_name_goes_on_to_the_bit() -> None:
    whole, first, second = a_model(), a_model(), a_model()
    trained(whole, VectorAdamW(CONFIG, whole), range(6))
    before = VectorAdamW(CONFIG, first)
    assert before.tensors() == {}, "there is no state before the first step"
    trained(first, before, range(3))
    state = {name: value.clone() for name, value in before.tensors().items()}
    assert state["0.weight.exp_avg"].shape == (7, 5)
    assert float(state["1.bias.step"]) == 3
    second.load_state_dict(first.state_dict())
    after = VectorAdamW(CONFIG, second)
    after.load(state)
    trained(second, after, range(3, 6))
    for weight, expected in zip(second.parameters(), whole.parameters(), strict=True):
        assert torch.equal(weight, expected)


def test_the_state_of_another_model_is_refused_by_name() -> None:
    model = a_model()
    optimizer = VectorAdamW(CONFIG, model)
    trained(model, optimizer, range(1))
    state = optimizer.tensors()
    state["9.weight.exp_avg"] = state.pop("0.weight.exp_avg")
    with pytest.raises(ConfigError, match=r"2 that differ: 0\.weight\.exp_avg: none, not \[7, 5\] float32; 9\.weight"):
        optimizer.load(state)


def test_the_state_before_the_first_step_takes_the_moments_away() -> None:
    model, peer = a_model(), a_model()
    optimizer = VectorAdamW(CONFIG, model)
    trained(model, optimizer, range(3))
    model.load_state_dict(peer.state_dict())
    optimizer.load({})
    assert optimizer.tensors() == {}
    trained(model, optimizer, range(2))
    trained(peer, VectorAdamW(CONFIG, peer), range(2))
    for weight, expected in zip(model.parameters(), peer.parameters(), strict=True):
        assert torch.equal(weight, expected)
