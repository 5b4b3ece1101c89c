"""Attention of short sequences in every form that could serve, forward and backward: which is fastest here?

`packed` lays several sequences into one and masks them from one another, to fill the tiles of a kernel that was made
for long ones. It is measured here, and not in the product until it wins somewhere.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from meter import Meter
from model_sizes import Size
from torch import Tensor
from torch.nn import functional

from uniform_core.model.kernels import attend, attention_form
from uniform_core.seeds import torch_generator

PACKED_TOKENS = 128


def packed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """[N, S, h, d] → [N, S, h·d]: as many sequences at once as have about 128 tokens."""
    n, length, heads, width = query.shape
    group = max(count for count in range(1, max(1, PACKED_TOKENS // length) + 1) if n % count == 0)
    owner = torch.arange(group, device=query.device).repeat_interleave(length)
    q, k, v = (part.reshape(n // group, group * length, heads, width).transpose(1, 2) for part in (query, key, value))
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=owner[:, None] == owner)
    return mixed.transpose(1, 2).reshape(n, length, heads * width)


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "fused": lambda q, k, v: attend(q, k, v, form="fused"),
    "products": lambda q, k, v: attend(q, k, v, form="products"),
    "packed": packed,
}


def measure_attention(size: Size, meter: Meter, *, runs: int) -> list[dict[str, object]]:
    """One row for each kind of attention and form: seconds of a block's forward and backward for a micro-batch."""
    frames, height, width = size.layout.grid_THW
    kinds = {"temporal": (height * width, frames), "spatial": (frames, height * width)}
    dtype = torch.bfloat16 if size.precision == "bfloat16" else torch.float32
    rows: list[dict[str, object]] = []
    for kind, (sequences, tokens) in kinds.items():
        shape = (size.micro_batch * sequences, tokens, size.model.heads, size.model.head_width)
        generator = torch_generator("bench.attention", kind)
        qkv = [torch.randn(shape, generator=generator).to(meter.device, dtype).requires_grad_() for _ in range(3)]
        seconds = {name: _both_ways(form, qkv, meter, runs) for name, form in FORMS.items()}
        chosen = attention_form(qkv[0], tokens)
        for name, taken in seconds.items():
            row = {"what": f"{kind} attention", "form": name, "sequences": shape[0], "tokens": tokens, "seconds": taken}
            rows.append(row | {"of_the_fastest": taken / min(seconds.values()), "is_used": name == chosen})
    return rows


def _both_ways(form: Callable[..., Tensor], qkv: list[Tensor], meter: Meter, runs: int) -> float:
    def work() -> None:
        torch.autograd.grad(form(*qkv).sum(), qkv)

    return meter.measure(work, runs=runs).seconds
