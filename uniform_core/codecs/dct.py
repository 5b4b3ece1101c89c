"""The orthonormal cosine basis of a block, and the order in which its coefficients are kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uniform_core.lazy import lazy, lazy_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


Frequency = tuple[int, ...]


def dct_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II as a [size, size] float64 matrix; row k is the cosine of frequency k."""
    k = torch.arange(size, dtype=torch.float64)[:, None]
    n = torch.arange(size, dtype=torch.float64)[None, :]
    matrix = torch.cos(math.pi * k * (2 * n + 1) / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def rank_frequencies(shape: Sequence[int], weights: Sequence[float], *, keep: int) -> list[Frequency]:
    """The `keep` frequencies of a block of this shape in which a smooth signal is expected to hold most energy.

    The model is separable and Markov: along an axis of weight w, the energy of frequency f is 1 / (1 + (w x f)^2), so
    the product over the axes ranks the block without looking at data. Ties fall in the order of the frequencies.
    """

    def energy(frequency: Frequency) -> float:
        return math.prod(1.0 / (1.0 + (w * f) ** 2) for w, f in zip(weights, frequency, strict=True))

    ranked = sorted(itertools.product(*map(range, shape)), key=lambda frequency: (-energy(frequency), frequency))
    return ranked[:keep]


def kept_rows(matrices: Sequence[Tensor], frequencies: Sequence[Frequency]) -> Tensor:
    """Orthonormal float32 rows, one a frequency: the outer product of the axes' basis rows, flattened."""
    rows = []
    for frequency in frequencies:
        row = torch.ones(1, dtype=torch.float64)
        for matrix, f in zip(matrices, frequency, strict=True):
            row = torch.outer(row, matrix[f]).reshape(-1)
        rows.append(row)
    return torch.stack(rows).float()
