"""First and second moments that stream, merge, and carry their count. Axes: n items, d features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
        return cls.of_blocks(blocks, width=rows_ND.shape[1])

    @classmethod
    def of_blocks(cls, blocks: Iterable[np.ndarray], *, width: int) -> Moments:
        """The moments of rows that come in blocks, which decide the last digit: `BLOCK_ROWS` each but for the last."""
        return merge_all((_of_block(block_KD) for block_KD in blocks), width=width)

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


def of_all_but_each(
    parts: Sequence[Moments], statistic: Callable[[Moments], float], *, width: int
) -> Float64[np.ndarray, " g"]:
    """For each part in turn a statistic of the moments of all others: two passes, not a merge of all for each.

    Of what is merged only the passes' own moments are held: 20 of 2,048 features take 0.7 GB.
    """
    before = [Moments.empty(width)]
    for part in parts[:-1]:
        before.append(before[-1].merge(part))
    after, found_G = Moments.empty(width), np.empty(len(parts))
    for place in reversed(range(len(parts))):
        found_G[place] = statistic(before.pop().merge(after))
        after = after.merge(parts[place])
    return found_G


def _of_block(rows_ND: Float[np.ndarray, "n d"]) -> Moments:
    rows64_ND = rows_ND.astype(np.float64)
    mean_D = rows64_ND.mean(axis=0)
    rows64_ND -= mean_D  # our own copy
    return Moments(len(rows64_ND), mean_D, rows64_ND.T @ rows64_ND)
