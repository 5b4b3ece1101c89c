"""Inner functions in the form that is fastest where they run; their values agree to float rounding.

On a CPU, eager: torch's tanh-GELU takes three times as long as the same function through a sigmoid, a complex product
turns pairs of channels four times as fast as shuffling them, and plain products beat the blocked attention kernel on
sequences of a few tokens (measured, docs/experiments.md). Elsewhere and under torch.compile: torch's own.
Axes: N sequences, S tokens, L keys, h heads, d head width.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

NORM_EPS = 1e-6
AttentionForm = Literal["products", "fused"]
# Keys; up to here a CPU attends by plain products. With 20 (temporal attention at the paper's size, heads of 72) both
# forms take the same time with their backward, and forward alone products take 1.7 times as long.
SHORT = 16
SLOPE = 2 * math.sqrt(2 / math.pi)  # tanh-GELU is x·σ(SLOPE·x + CUBE·x³)
CUBE = SLOPE * 0.044715


def is_eager_cpu(x: Tensor) -> bool:
    """Whether a tensor is worked on by CPU kernels one by one."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class _SigmoidGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate = (x * x).mul_(CUBE).add_(SLOPE).mul_(x).sigmoid_()
        ctx.save_for_backward(x, gate)
        y: Tensor = x * gate
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, gate = ctx.saved_tensors
        slope: Tensor = (x * x).mul_(3 * CUBE).add_(SLOPE).mul_(x)
        return slope.mul_(1 - gate).add_(1).mul_(gate).mul_(grads[0])


def gelu_tanh(x: Float[Tensor, "*rest M"]) -> Float[Tensor, "*rest M"]:
    """GELU in its tanh form."""
    if is_eager_cpu(x):
        y: Tensor = _SigmoidGelu.apply(x)
        return y
    return functional.gelu(x, approximate="tanh")


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        inverse_rms = (x * x).mean(-1, keepdim=True).add_(NORM_EPS).rsqrt_()
        normed = x * inverse_rms
        ctx.save_for_backward(normed, inverse_rms, gain)
        y: Tensor = normed * gain
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        normed, inverse_rms, gain = ctx.saved_tensors
        by_gain = grads[0] * normed
        grad_gain = by_gain.sum_to_size(gain.shape)
        along = (by_gain * gain).mean(-1, keepdim=True)
        grad_x: Tensor = (grads[0] * gain).sub_(normed * along).mul_(inverse_rms)
        return grad_x, grad_gain


def rms_norm(x: Float[Tensor, "*rest d"], gain: Float[Tensor, "*some d"]) -> Float[Tensor, "*rest d"]:
    """x divided by its root mean square over the last axis, computed in float32, times a gain that broadcasts."""
    if is_eager_cpu(x) and x.dtype == torch.float32:
        y: Tensor = _RmsNorm.apply(x, gain)
        return y
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + NORM_EPS)).to(x.dtype) * gain


def rotate_pairs(
    x: Float[Tensor, "N S *rest d"], rotation_S2d: Float[Tensor, "S two d"]
) -> Float[Tensor, "N S *rest d"]:
    """Every pair of channels (0, 1), (2, 3), … turned by the angle of its position along axis 1.

    `rotation_S2d` holds cos, and sin with the sign of the channel in its pair (minus, plus).
    """
    between = (1,) * (x.ndim - 3)
    cos, sin = (part.reshape(x.shape[1], *between, -1) for part in rotation_S2d.unbind(1))
    pairs = x.view(*x.shape[:-1], -1, 2)
    if is_eager_cpu(x) and x.dtype == torch.float32:
        turn = torch.complex(cos[..., ::2], sin[..., 1::2])
        return torch.view_as_real(torch.view_as_complex(pairs) * turn).view(x.shape)
    swapped = pairs.flip(-1).view(x.shape)
    return torch.addcmul(x * cos.to(x.dtype), swapped, sin.to(x.dtype))


def attention_form(query: Float[Tensor, "N S h d"], keys: int) -> AttentionForm:
    """The form that was measured fastest for that many keys where the tensor lies.

    On an accelerator it is torch's kernel, of temporal attention too (20 tokens, heads of 72). There it has not been
    measured against the others: `tests/bench/bench_model.py` does so on any device.
    """
    return "products" if is_eager_cpu(query) and keys <= SHORT else "fused"


def attend(
    query: Float[Tensor, "N S h d"],
    key: Float[Tensor, "N L h d"],
    value: Float[Tensor, "N L h d"],
    *,
    mask: Bool[Tensor, "#N 1 #S L"] | None = None,
    form: AttentionForm | None = None,
) -> Float[Tensor, "N S h*d"]:
    """Scaled dot-product attention of each sequence to its own keys, heads side by side."""
    q, k, v = (part.transpose(1, 2) for part in (query, key, value))
    if (form or attention_form(query, key.shape[1])) == "products":
        mixed = _by_products(q, k, v, mask)
    else:
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return mixed.transpose(1, 2).flatten(2)


def _by_products(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The same as three operations, with scores that are kept and a softmax in float32."""
    scores = (q @ k.transpose(-1, -2)) * (q.shape[-1] ** -0.5)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(v.dtype) @ v
