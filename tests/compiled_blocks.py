"""A process that compiles blocks, and prints how they differ from plain ones and how often something was compiled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from model_cases import RATE_HZ, lively_model, random_latent, random_text
from torch import Tensor
from torch._dynamo.utils import counters

from uniform_core.model.config import BlockForm
from uniform_core.types import Modality, Task


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


def outputs_and_gradients(form: BlockForm, lengths: list[int], *, depth: int) -> tuple[list[Tensor], list[Tensor]]:
    model = lively_model(depth=depth).train()
    model.block_form = form
    conditions = model.prepare(Task.T2AV, random_text(lengths), RATE_HZ)
    output = model(random_latent(2), torch.tensor([100.0, 900.0]), conditions)
    sum((output[m] * torch.linspace(-1, 1, output[m].numel()).view(output[m].shape)).sum() for m in Modality).backward()
    values = [output[m].detach() for m in Modality]
    return values, [weight.grad for weight in model.parameters() if weight.grad is not None]


def difference(ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """How far two lists of tensors are apart, as a share of the second's length. (Some gradients are all but zero.)"""
    one_N, other_N = (torch.cat([tensor.flatten() for tensor in tensors]) for tensors in (ones, others))
    return float((one_N - other_N).norm() / other_N.norm())


def main() -> None:
    said: dict[str, Any] = {}
    plain = outputs_and_gradients(BlockForm(), [3, 5], depth=1)
    compiled = outputs_and_gradients(BlockForm(is_compiled=True), [3, 5], depth=1)  # by the compiler of production
    said["output_difference"] = difference(compiled[0], plain[0])
    said["gradient_difference"] = difference(compiled[1], plain[1])

    before, traced = graphs(), "aot_eager"  # what is traced and shared, without a compiler for it
    kept = outputs_and_gradients(BlockForm(0, is_compiled=True, backend=traced), [3, 5], depth=3)
    said["graphs_of_one_length"] = graphs() - before
    again = outputs_and_gradients(BlockForm(2, is_compiled=True, backend=traced), [3, 5], depth=3)
    said["recomputed_gradient_difference"] = difference(again[1], kept[1])
    for lengths in ([3, 7], [2, 9], [4, 11]):
        outputs_and_gradients(BlockForm(0, is_compiled=True, backend=traced), lengths, depth=3)
    said["graphs_of_more_lengths"] = graphs() - before
    print(json.dumps(said))


if __name__ == "__main__":
    main()
