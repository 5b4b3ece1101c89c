"""First and second moments that stream, merge, and carry their count. Axes: n items, d features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

BLOCK_ROWS = 4096  # fixed, so that `Moments.of` the same rows gives the same last digit


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter Σ(x − mean)(x − mean)ᵀ in float64.

    The scatter is kept centred: raw sums of outer products lose digits where the mean is far from zero.
    """

    n: int
    mean_D: Float64[np.ndarray, " d"]
    scatter_DD: Float64[np.ndarray, "d d"]

    @classmethod
    def empty(cls, width: int) -> Moments:
        """The moments of no items: the neutral element of `merge`."""
        return cls(0, np.zeros(width), np.zeros((width, width)))

    @classmethod
    def of(cls, rows_ND: Float[np.ndarray, "n d"]) -> Moments:
        """The moments of rows, reduced in blocks of a fixed size."""
        blocks = (rows_ND[start : start + BLOCK_ROWS] for start in range(0, len(rows_ND), BLOCK_ROWS))
        return merge_all((_of_block(block) for block in blocks), width=rows_ND.shape[1])

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of items. Source: Chan, Golub and LeVeque 1983, eq. 2.1."""
        if not self.n or not other.n:
            return other if not self.n else self
        n = self.n + other.n
        delta_D = other.mean_D - self.mean_D
        scatter_DD = self.scatter_DD + other.scatter_DD + np.outer(delta_D, delta_D) * (self.n * other.n / n)
        return Moments(n, self.mean_D + delta_D * (other.n / n), scatter_DD)

    def update(self, rows_ND: Float[np.ndarray, "n d"]) -> Moments:
        """The moments with more rows."""
        return self.merge(Moments.of(rows_ND))

    def covariance_DD(self, *, ddof: int) -> Float64[np.ndarray, "d d"]:
        """The covariance; `ddof` 1 divides by n − 1, 0 by n. Raises ValueError where that is not positive."""
        if self.n <= ddof:
            raise ValueError(f"covariance with ddof {ddof} needs more than {ddof} items, found {self.n}")
        return self.scatter_DD / (self.n - ddof)


def merge_all(parts: Iterable[Moments], *, width: int) -> Moments:
    """The moments of all parts, merged from left to right."""
    total = Moments.empty(width)
    for part in parts:
        total = total.merge(part)
    return total


def all_but_each(parts: Sequence[Moments], *, width: int) -> list[Moments]:
    """For each part in turn the moments of all others: two passes, not a merge of all for each."""
    before, after = [Moments.empty(width)], [Moments.empty(width)]
    for first, last in zip(parts[:-1], parts[:0:-1], strict=True):
        before.append(before[-1].merge(first))
        after.append(after[-1].merge(last))
    return [left.merge(right) for left, right in zip(before, reversed(after), strict=True)]


def _of_block(rows_ND: Float[np.ndarray, "n d"]) -> Moments:
    rows64_ND = rows_ND.astype(np.float64)
    mean_D = rows64_ND.mean(axis=0)
    rows64_ND -= mean_D  # our own copy
    return Moments(len(rows64_ND), mean_D, rows64_ND.T @ rows64_ND)
