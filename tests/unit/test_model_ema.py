"""The running mean of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from uniform_core.errors import ConfigError
from uniform_core.model import Ema


def linear(value: float, dtype: torch.dtype = torch.float32) -> nn.Linear:
    layer = nn.Linear(2, 1, bias=False, dtype=dtype)
    nn.init.constant_(layer.weight, value)
    return layer


def value_of(layer: nn.Linear) -> float:
    return float(layer.weight.detach()[0, 0])


def test_the_ramp_then_the_decay() -> None:
    model = linear(0.0)
    ema = Ema(model, decay=0.5)
    nn.init.constant_(model.weight, 1.0)
    expected = 0.0
    for n in range(20):
        ema.update(model)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay)
        assert float(ema.state_dict()["weight"][0, 0]) == pytest.approx(expected, rel=1e-6)
    assert ema.updates == 20


def test_it_stays_float32_beside_bfloat16_weights() -> None:
    model = linear(1.0, torch.bfloat16)
    ema = Ema(model, decay=0.9999)
    nn.init.constant_(model.weight, 1.0078125)  # the next bfloat16: a bfloat16 mean could not move towards it
    ema.updates = 100_000
    ema.update(model)
    mean = ema.state_dict()["weight"]
    assert mean.dtype == torch.float32
    assert 1.0 < float(mean[0, 0]) < 1.00001


def test_applied_inside_and_gone_afterwards() -> None:
    model = linear(1.0)
    ema = Ema(model, decay=0.9)
    nn.init.constant_(model.weight, 3.0)

    def fail_inside() -> None:
        with ema.applied(model):
            assert value_of(model) == 1.0
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert value_of(model) == 3.0
    ema.copy_to(model)
    assert value_of(model) == 1.0


def test_state_returns_and_another_models_state_is_refused() -> None:
    model = linear(2.0)
    ema, other = Ema(model, decay=0.9), Ema(linear(0.0), decay=0.9)
    ema.update(model)
    other.load_state_dict(ema.state_dict())
    assert other.updates == 1
    assert torch.equal(other.state_dict()["weight"], ema.state_dict()["weight"])
    with pytest.raises(ConfigError, match=r"differences in \['weight'\]"):
        Ema(nn.Linear(3, 1, bias=False), decay=0.9).load_state_dict(ema.state_dict())
    half = {name: value.half() if value.is_floating_point() else value for name, value in ema.state_dict().items()}
    with pytest.raises(ConfigError, match=r"differences in \['weight'\]"):
        other.load_state_dict(half)
    with pytest.raises(ConfigError, match=r"ema.decay: expected a number in \[0, 1\); found 1"):
        Ema(model, decay=1.0)


def test_frozen_weights_are_left_out() -> None:
    model = nn.Sequential(linear(1.0), linear(1.0))
    model[0].requires_grad_(False)
    assert set(Ema(model, decay=0.9).state_dict()) == {"1.weight", "updates"}
