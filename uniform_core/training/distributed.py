"""This process among the ranks of a training, with torch.distributed where it was started and alone where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Place:
    """Rank `rank` of `world`. Rank 0 writes checkpoints and reports."""

    rank: int = 0
    world: int = 1


def current_place() -> Place:
    """The place of this process: rank 0 of 1 unless a process group has been started."""
    if dist.is_available() and dist.is_initialized():
        return Place(dist.get_rank(), dist.get_world_size())
    return Place()


@torch.no_grad()
def add_over_ranks(vector_N: Tensor, place: Place) -> None:
    """Turn a vector into its sum over all ranks, in place and the same bits on each: what is long is not copied.

    Two ranks add two numbers, which has one result; with more, gloo and NCCL add in an order that the world size fixes.
    """
    if place.world > 1:
        dist.all_reduce(vector_N, op=dist.ReduceOp.SUM)


@torch.no_grad()
def sum_over_ranks(tensors: Sequence[Tensor], place: Place) -> list[Tensor]:
    """The sums over all ranks, by one `add_over_ranks` of one flat tensor. The inputs stay as they are."""
    if place.world == 1:
        return list(tensors)
    flat = torch.cat([tensor.reshape(-1).to(torch.float32) for tensor in tensors])
    add_over_ranks(flat, place)
    pieces = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [piece.view(tensor.shape).to(tensor.dtype) for piece, tensor in zip(pieces, tensors, strict=True)]
