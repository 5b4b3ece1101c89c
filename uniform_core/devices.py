"""On what networks are run: a CPU, or a GPU where there is one. It changes speed and rounding, never a fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

Device = Literal["auto", "cpu", "cuda"]


def device_of(word: Device, *, item: str = "device") -> torch.device:
    """What a word means on this machine; `auto` is a GPU where there is one. Raises ConfigError for one that is not."""
    if word == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if word == "cuda" and not torch.cuda.is_available():
        raise ConfigError(item, expected="a GPU that torch can use", found="none", fix=f"Set {item} to auto or cpu.")
    return torch.device(word)


def gpus() -> int:
    """How many GPUs torch can use here."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def is_on_gpu(*parts: object) -> bool:
    """Whether any of some configs has a `device` that means a GPU here. Raises ConfigError as `device_of` does."""
    words: list[Device] = [getattr(part, "device", "cpu") for part in parts]
    return any(device_of(word).type == "cuda" for word in words)
