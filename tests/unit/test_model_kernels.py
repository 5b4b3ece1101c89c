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


@pytest.mark.parametrize(
    ("device", "tokens", "form"),
    [("cpu", 6, "products"), ("cpu", 20, "fused"), ("cpu", 304, "fused"), ("meta", 20, "fused")],
)
def test_the_form_of_attention_is_chosen_by_place_and_length(device: str, tokens: int, form: str) -> None:
    query = torch.zeros(2, tokens, 2, 4, device=device)
    assert kernels.attention_form(query, tokens) == form


def test_the_chosen_form_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fused = functional.scaled_dot_product_attention
    monkeypatch.setattr(
        functional, "scaled_dot_product_attention", lambda *a, **k: calls.append("fused") or fused(*a, **k)
    )
    x = random(2, 5, 2, 4)
    outputs = [kernels.attend(x, x, x, form=form) for form in (None, "products", "fused")]
    assert calls == ["fused"]
    compare(outputs[1], outputs[2], x)
    kernels.attend(*[random(1, 40, 2, 4)] * 3)
    assert calls == ["fused"] * 2


def test_products_keep_their_softmax_in_float32() -> None:
    q, k, v = (random(3, 20, 2, 8).detach() for _ in range(3))
    exact = kernels.attend(q, k, v, form="products")
    rounded = kernels.attend(*(part.bfloat16() for part in (8 * q, k, v)), form="products")
    assert rounded.dtype == torch.bfloat16
    sharp = kernels.attend(8 * q.bfloat16().float(), k.bfloat16().float(), v.bfloat16().float(), form="products")
    assert float((rounded.float() - sharp).abs().mean()) < 0.02 * float(exact.abs().mean())
