"""The kernel distance: squared MMD under k(x, y) = (x·y / d + 1)³, unbiased. Axes: n, m items, d features.

The unbiased estimate may be below zero, and is for a set with itself: K(X, Y) keeps the diagonal that K(X, X) drops.
Source: Bińkowski et al. 2018, eq. 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

BLOCK_ROWS = 1024  # fixed, so that memory is bounded and the last digit does not depend on who calls


@dataclass(frozen=True)
class KernelSums:
    """Row sums of the kernel matrices: all that the estimate and its delete-one jackknife need."""

    within_first_N: Float64[np.ndarray, " n"]  # Σ_j k(x_i, x_j), j ≠ i
    within_second_M: Float64[np.ndarray, " m"]
    across_N: Float64[np.ndarray, " n"]  # Σ_j k(x_i, y_j)
    across_M: Float64[np.ndarray, " m"]  # Σ_i k(x_i, y_j)

    def estimate(self) -> float:
        """The squared MMD of all items."""
        n, m = len(self.across_N), len(self.across_M)
        within = self.within_first_N.sum() / (n * (n - 1)) + self.within_second_M.sum() / (m * (m - 1))
        return float(within - 2.0 * self.across_N.sum() / (n * m))

    def without_first(self) -> Float64[np.ndarray, " n"]:
        """The estimate with each item of the first set left out in turn (n ≥ 3)."""
        return _without_each(self.within_first_N, self.across_N, others=self.within_second_M)

    def without_second(self) -> Float64[np.ndarray, " m"]:
        """The estimate with each item of the second set left out in turn (m ≥ 3)."""
        return _without_each(self.within_second_M, self.across_M, others=self.within_first_N)


def kernel_sums(first_ND: Float[np.ndarray, "n d"], second_MD: Float[np.ndarray, "m d"]) -> KernelSums:
    """The row sums of two sets, in float64."""
    first_ND, second_MD = first_ND.astype(np.float64), second_MD.astype(np.float64)
    across_N, across_M = _row_and_column_sums(first_ND, second_MD)
    return KernelSums(
        within_first_N=_row_and_column_sums(first_ND, first_ND)[0] - _diagonal(first_ND),
        within_second_M=_row_and_column_sums(second_MD, second_MD)[0] - _diagonal(second_MD),
        across_N=across_N,
        across_M=across_M,
    )


def polynomial_mmd(first_ND: Float[np.ndarray, "n d"], second_MD: Float[np.ndarray, "m d"]) -> float:
    """The squared MMD over all items (MM-Diffusion's KVD)."""
    return kernel_sums(first_ND, second_MD).estimate()


def subset_mmds(
    first_ND: Float[np.ndarray, "n d"],
    second_MD: Float[np.ndarray, "m d"],
    *,
    subsets: int,
    size: int,
    seed: int,
) -> Float64[np.ndarray, " s"]:
    """The squared MMD of random subsets, drawn without replacement, first set before second.

    The legacy generator is what torch-fidelity, audioldm_eval and StyleGAN-V draw with; it is local to this call.
    """
    random = np.random.RandomState(seed)
    estimates = np.empty(subsets)
    for index in range(subsets):
        of_first = first_ND[random.choice(len(first_ND), size, replace=False)]
        of_second = second_MD[random.choice(len(second_MD), size, replace=False)]
        estimates[index] = polynomial_mmd(of_first, of_second)
    return estimates


def _kernel(first_ND: np.ndarray, second_MD: np.ndarray) -> np.ndarray:
    base_NM: np.ndarray = first_ND @ second_MD.T / first_ND.shape[1] + 1.0
    cube_NM: np.ndarray = base_NM * base_NM * base_NM
    return cube_NM


def _diagonal(rows_ND: np.ndarray) -> np.ndarray:
    base_N: np.ndarray = (rows_ND * rows_ND).sum(axis=1) / rows_ND.shape[1] + 1.0
    return base_N**3


def _row_and_column_sums(first_ND: np.ndarray, second_MD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows_N, columns_M = np.empty(len(first_ND)), np.zeros(len(second_MD))
    for start in range(0, len(first_ND), BLOCK_ROWS):
        block_BM = _kernel(first_ND[start : start + BLOCK_ROWS], second_MD)
        rows_N[start : start + BLOCK_ROWS] = block_BM.sum(axis=1)
        columns_M += block_BM.sum(axis=0)
    return rows_N, columns_M


def _without_each(within_N: np.ndarray, across_N: np.ndarray, *, others: np.ndarray) -> np.ndarray:
    n, m = len(within_N), len(others)
    within: np.ndarray = (within_N.sum() - 2.0 * within_N) / ((n - 1) * (n - 2))
    across: np.ndarray = (across_N.sum() - across_N) / ((n - 1) * m)
    estimates_N: np.ndarray = within + others.sum() / (m * (m - 1)) - 2.0 * across
    return estimates_N
