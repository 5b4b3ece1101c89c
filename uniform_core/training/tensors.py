"""Tensors of a training set, read from shards once and kept in memory up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from uniform_core.types import TensorRef

CACHE_LIMIT_BYTES = 2 << 30  # a tiny corpus sits wholly in it; the paper's 55 GB is left to the page cache


@runtime_checkable
class TensorReader(Protocol):
    """What `catalog.shards.ShardReader` is to training: it gives an array of its own, which may be written."""

    def read(self, ref: TensorRef, /) -> np.ndarray: ...


class TensorCache:
    """Tensors by their reference, in stored precision; the least recently used go first when `limit_bytes` is full."""

    def __init__(self, reader: TensorReader, *, limit_bytes: int = CACHE_LIMIT_BYTES) -> None:
        self._reader, self._limit_bytes = reader, limit_bytes
        self._tensors: OrderedDict[TensorRef, Tensor] = OrderedDict()
        self.held_bytes = 0

    def read(self, ref: TensorRef) -> Tensor:
        """The tensor of a reference; do not alter it."""
        cached = self._tensors.get(ref)
        if cached is not None:
            self._tensors.move_to_end(ref)
            return cached
        tensor = tensor_of(self._reader.read(ref), ref.dtype)
        self._tensors[ref] = tensor
        self.held_bytes += tensor.nbytes
        while self.held_bytes > self._limit_bytes and self._tensors:
            _, gone = self._tensors.popitem(last=False)
            self.held_bytes -= gone.nbytes
        return tensor


def tensor_of(array: np.ndarray, dtype: str) -> Tensor:
    """The tensor of an array, which it takes over; `bfloat16` arrives as its 16-bit pattern."""
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor
