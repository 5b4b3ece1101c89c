"""The kernel distance: squared MMD under k(x, y) = (x·y / d + 1)³, unbiased. Axes: n, m items, d features, s strata.

The unbiased estimate may be below zero, and is for a set with itself: K(X, Y) keeps the diagonal that K(X, X) drops.
Source: Bińkowski et al. 2018, eq. 4. It takes items for independent draws; where classes were given fixed numbers of
items it is too low, for then two items of one class are rarer among pairs than the class's share squared. With strata,
each pair of strata is averaged on its own and weighs as the shares of its two: unbiased again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Int

BLOCK_ROWS = 1024  # fixed, so that memory is bounded and the last digit does not depend on who calls


@dataclass(frozen=True)
class SideSums:
    """The kernel sums of one set's items; the share of each stratum is fixed."""

    stratum_N: Int[np.ndarray, " n"]  # from 0, none empty
    within_NS: Float64[np.ndarray, "n s"]  # Σ_j k(x_i, x_j) over j ≠ i of each stratum
    across_N: Float64[np.ndarray, " n"]  # mean of k(x_i, y_j) over the other set

    @cached_property
    def counts_S(self) -> Float64[np.ndarray, " s"]:
        return np.bincount(self.stratum_N).astype(np.float64)

    @cached_property
    def shares_S(self) -> Float64[np.ndarray, " s"]:
        shares_S: np.ndarray = self.counts_S / self.counts_S.sum()
        return shares_S

    @cached_property
    def sums_SS(self) -> Float64[np.ndarray, "s s"]:
        return self._by_stratum(self.within_NS)

    @cached_property
    def means_SS(self) -> Float64[np.ndarray, "s s"]:
        """The mean kernel of the pairs of two strata; an item is not paired with itself."""
        pairs_SS: np.ndarray = np.outer(self.counts_S, self.counts_S) - np.diag(self.counts_S)
        means_SS: np.ndarray = self.sums_SS / pairs_SS
        return means_SS

    def within(self) -> float:
        """The mean kernel of two independent items (at least 2 in each stratum)."""
        return float(self.shares_S @ self.means_SS @ self.shares_S)

    def within_without_each(self) -> Float64[np.ndarray, " n"]:
        """`within` with each item left out in turn (at least 3 in each stratum)."""
        own_N, every_N = self.stratum_N, np.arange(len(self.stratum_N))
        left_N1 = (self.counts_S[own_N] - 1)[:, None]
        pairs_NS = np.repeat(self.counts_S[None], len(own_N), axis=0) * left_N1
        removed_NS = self.within_NS.copy()
        removed_NS[every_N, own_N] *= 2  # as first and as second of a pair
        pairs_NS[every_N, own_N] = left_N1[:, 0] * (left_N1[:, 0] - 1)
        change_NS = (self.sums_SS[own_N] - removed_NS) / pairs_NS - self.means_SS[own_N]
        weight_NS = 2 * self.shares_S[own_N][:, None] * self.shares_S[None]
        weight_NS[every_N, own_N] /= 2
        without_N: np.ndarray = self.within() + (weight_NS * change_NS).sum(axis=1)
        return without_N

    def across_without_each(self) -> Float64[np.ndarray, " n"]:
        """The mean of `across_N`, each stratum with its share, with each item left out in turn."""
        sums_S, own_N = self._by_stratum(self.across_N), self.stratum_N
        change_N = (sums_S[own_N] - self.across_N) / (self.counts_S[own_N] - 1) - (sums_S / self.counts_S)[own_N]
        without_N: np.ndarray = self.across_N.mean() + self.shares_S[own_N] * change_N
        return without_N

    def _by_stratum(self, values: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(self.counts_S), *values.shape[1:]))
        np.add.at(sums, self.stratum_N, values)
        return sums


@dataclass(frozen=True)
class KernelSums:
    """All that the estimate and its delete-one jackknife need."""

    first: SideSums
    second: SideSums

    def estimate(self) -> float:
        """The squared MMD of all items."""
        return self.first.within() + self.second.within() - 2.0 * float(self.first.across_N.mean())

    def without_first(self) -> Float64[np.ndarray, " n"]:
        """The estimate with each item of the first set left out in turn."""
        return _without_each(self.first, other=self.second)

    def without_second(self) -> Float64[np.ndarray, " m"]:
        """The estimate with each item of the second set left out in turn."""
        return _without_each(self.second, other=self.first)


def kernel_sums(
    first_ND: Float[np.ndarray, "n d"],
    second_MD: Float[np.ndarray, "m d"],
    *,
    first_strata_N: Int[np.ndarray, " n"] | None = None,
    second_strata_M: Int[np.ndarray, " m"] | None = None,
) -> KernelSums:
    """The sums of two sets, in float64; without strata each set is one of independent draws."""
    first_ND, second_MD = first_ND.astype(np.float64), second_MD.astype(np.float64)
    across_N, across_M = _row_and_column_sums(first_ND, second_MD)
    return KernelSums(
        first=_side_sums(first_ND, across_N / len(second_MD), first_strata_N),
        second=_side_sums(second_MD, across_M / len(first_ND), second_strata_M),
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


def _side_sums(rows_ND: np.ndarray, across_N: np.ndarray, strata_N: np.ndarray | None) -> SideSums:
    n = len(rows_ND)
    stratum_N = np.zeros(n, dtype=np.int64) if strata_N is None else strata_N
    within_NS = np.empty((n, int(stratum_N.max()) + 1))
    for stratum in range(within_NS.shape[1]):
        within_NS[:, stratum] = _row_and_column_sums(rows_ND, rows_ND[stratum_N == stratum])[0]
    within_NS[np.arange(n), stratum_N] -= _diagonal(rows_ND)
    return SideSums(stratum_N, within_NS, across_N)


def _without_each(side: SideSums, *, other: SideSums) -> np.ndarray:
    estimates_N: np.ndarray = side.within_without_each() + other.within() - 2.0 * side.across_without_each()
    return estimates_N
