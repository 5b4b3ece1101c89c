"""Weights put into a network that had names and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from uniform_core.devices import Device, device_of
from uniform_core.lazy import lazy, lazy_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")

Precision = Literal["float32", "bfloat16"]


def fill(network: torch.nn.Module, state: Mapping[str, Tensor], *, device: Device, dtype: Precision) -> None:
    """Give a network of the device "meta" its place and its weights, copied: those of a file may be the file itself.

    Whole numbers (counters) stay whole. Raises ConfigError for a GPU that is not there.
    """
    place, kind = device_of(device), getattr(torch, dtype)
    placed = {
        name: tensor.to(device=place, dtype=kind if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in state.items()
    }
    network.load_state_dict(placed, strict=True, assign=True)
    network.eval().requires_grad_(False)
