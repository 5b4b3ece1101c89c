"""The CPU forms of the inner functions are torch's, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from uniform_core.model import kernels
from uniform_core.model.attention import RotaryTime
from uniform_core.seeds import torch_generator


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch_generator("kernels", *shape)).requires_grad_()


def compare(ours: Tensor, reference: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-6)
    weights = torch.linspace(-1, 1, ours.numel()).view(ours.shape)
    gradients = [torch.autograd.grad((out * weights).sum(), inputs) for out in (ours, reference)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_gelu() -> None:
    x = random(5, 200)
    compare(kernels.gelu_tanh(4 * x), functional.gelu(4 * x, approximate="tanh"), x)


@pytest.mark.parametrize("gain_shape", [(2, 1, 8), (3, 5, 2, 4, 8)])
def test_rms_norm(gain_shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    x, gain = random(3, 5, 2, 4, 8), random(*gain_shape) + 1
    fast = kernels.rms_norm(x, gain)
    monkeypatch.setattr(kernels, "is_eager_cpu", lambda _x: False)
    compare(fast, kernels.rms_norm(x, gain), x, gain)


def test_rotation_as_a_complex_product_and_as_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    x, rotation = random(2, 5, 2, 3, 8), RotaryTime(8).rotation(5)
    fast = kernels.rotate_pairs(x, rotation)
    monkeypatch.setattr(kernels, "is_eager_cpu", lambda _x: False)
    compare(fast, kernels.rotate_pairs(x, rotation), x)


def test_rotation_turns_by_the_difference_of_positions_alone() -> None:
    rotation = RotaryTime(8).rotation(9)
    q, k = random(1, 1, 8).expand(1, 9, 8), random(1, 1, 8).expand(1, 9, 8) + 1
    products = kernels.rotate_pairs(q, rotation)[0] @ kernels.rotate_pairs(k, rotation)[0].T
    torch.testing.assert_close(products[1:, 1:], products[:-1, :-1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(products[0], products[1])


@pytest.mark.parametrize("masked", [False, True])
def test_attention(masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = random(3, 6, 2, 4), random(3, 5, 2, 4), random(3, 5, 2, 4) * 2
    mask = torch.arange(5)[None, None, None] < torch.tensor([5, 1, 3])[:, None, None, None] if masked else None
    fast = kernels.attend(q, k, v, mask=mask)
    monkeypatch.setattr(kernels, "is_eager_cpu", lambda _x: False)
    compare(fast, kernels.attend(q, k, v, mask=mask), q, k)
