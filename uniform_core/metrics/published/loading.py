"""The file of a published net among the files of a word, its tensors held against the net's names and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from uniform_core.devices import Device
from uniform_core.errors import ConfigError
from uniform_core.weights import FoundWeights
from uniform_core.weights.filling import fill
from uniform_core.weights.reading import require_names

Net = TypeVar("Net", bound=nn.Module)


def file_named(found: FoundWeights, name: str) -> Path:
    """The file of this name or, of a path, the only file there is. Raises ConfigError."""
    if name in found.files:
        return found.files[name]
    if len(found.files) == 1:
        return next(iter(found.files.values()))
    raise ConfigError(
        f"weights {found.word}",
        expected=f"a file {name}",
        found=", ".join(sorted(found.files)[:8]) or "an empty folder",
        fix="Give the folder that has it, or the path of the file itself.",
    )


def empty(build: Callable[[], Net]) -> Net:
    """A network of names and shapes, without weights."""
    with torch.device("meta"):
        return build()


def require_state(network: nn.Module, state: Mapping[str, Tensor], *, item: str) -> None:
    """Tensors have the network's names and shapes, all of them. Raises ConfigError that names what is odd first."""
    require_names(state, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}, item=item)


def filled(network: Net, state: Mapping[str, Tensor], *, device: Device) -> Net:
    """The network with its weights, in float32, to be asked and not trained. Raises ConfigError for an absent GPU."""
    fill(network, state, device=device, dtype="float32")
    return network


def on_device_of(network: nn.Module, tensor: Tensor) -> Tensor:
    """A tensor as the network takes it: float32, where its weights are."""
    return tensor.to(device=next(network.parameters()).device, dtype=torch.float32)
