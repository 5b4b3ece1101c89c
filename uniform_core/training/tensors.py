"""Tensors of a training set, read from shards or computed once, and kept in memory up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from uniform_core.types import TensorRef

CACHE_LIMIT_BYTES = 2 << 30  # a tiny corpus sits wholly in it; the paper's 55 GB is left to the page cache


@runtime_checkable
class TensorReader(Protocol):
    """What `catalog.shards.ShardReader` is to training: it gives an array of its own, which may be written."""

    def read(self, ref: TensorRef, /) -> np.ndarray: ...


KeyT = TypeVar("KeyT", bound=Hashable)


class BoundedCache(Generic[KeyT]):
    """Tensors by their key, each made once; the least recently used go first when `limit_bytes` is full."""

    def __init__(self, make: Callable[[KeyT], Tensor], *, limit_bytes: int) -> None:
        self._make, self._limit_bytes = make, limit_bytes
        self._tensors: OrderedDict[KeyT, Tensor] = OrderedDict()
        self.held_bytes = 0

    def read(self, key: KeyT) -> Tensor:
        """The tensor of a key; do not alter it."""
        cached = self._tensors.get(key)
        if cached is not None:
            self._tensors.move_to_end(key)
            return cached
        tensor = self._make(key)
        self._tensors[key] = tensor
        self.held_bytes += tensor.nbytes
        while self.held_bytes > self._limit_bytes and self._tensors:
            _, gone = self._tensors.popitem(last=False)
            self.held_bytes -= gone.nbytes
        return tensor


class TensorCache(BoundedCache[TensorRef]):
    """Stored tensors by their reference, in stored precision."""

    def __init__(self, reader: TensorReader, *, limit_bytes: int = CACHE_LIMIT_BYTES) -> None:
        super().__init__(lambda ref: tensor_of(reader.read(ref), ref.dtype), limit_bytes=limit_bytes)


def tensor_of(array: np.ndarray, dtype: str) -> Tensor:
    """The tensor of an array, which it takes over; `bfloat16` arrives as its 16-bit pattern."""
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


def array_of(tensor: Tensor) -> tuple[np.ndarray, str]:
    """The array of a tensor on the CPU, and the name of its dtype; the inverse of `tensor_of`."""
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.uint16).numpy(), "bfloat16"
    array = tensor.numpy()
    return array, array.dtype.name
