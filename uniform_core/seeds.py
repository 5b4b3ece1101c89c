"""Randomness that is derived, never global: a name path gives a seed, a seed gives a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uniform_core.fingerprint import digest

if TYPE_CHECKING:
    import torch

SeedPart = str | int


def derive_seed(*parts: SeedPart) -> int:
    """A 63-bit seed that depends on every part and on their order.

    >>> derive_seed("train", 0, 7) == derive_seed("train", 0, 7) != derive_seed("train", 7, 0)
    True
    """
    return int(digest(["seed", *parts])[:16], 16) >> 1


def numpy_rng(*parts: SeedPart) -> np.random.Generator:
    """A NumPy generator of its own for this name path."""
    return np.random.default_rng(derive_seed(*parts))


def torch_generator(*parts: SeedPart) -> torch.Generator:
    """A CPU torch generator of its own for this name path."""
    import torch  # here: `uniform status` reads this module's callers without torch

    return torch.Generator().manual_seed(derive_seed(*parts))
