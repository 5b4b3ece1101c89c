"""Differences of two systems: clip by clip where both have values of the same clips, else from two intervals.

Axis: N clips.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from uniform_core.metrics.intervals import mean_interval
from uniform_core.seeds import numpy_rng

DRAWS = 9_999  # the least p value is 1 / (DRAWS + 1)
BLOCK = 500  # draws held at once
EXACT = 12  # so few clips have all of their signs tried

Interval = tuple[float, float]


@dataclass(frozen=True)
class PairedDifference:
    """The mean of other − base over the same clips, its 95 % Student interval, and its two-sided sign-flip p value.

    `low` and `high` are None below two clips.
    """

    mean: float
    low: float | None
    high: float | None
    p: float
    n: int


def paired_difference(base_N: Float64[np.ndarray, " N"], other_N: Float64[np.ndarray, " N"]) -> PairedDifference:
    """The difference of two systems on the same clips, at least one of them, in the same order."""
    differences_N = other_N - base_N
    low, high = mean_interval(differences_N)
    return PairedDifference(float(differences_N.mean()), low, high, sign_flip_p(differences_N), n=len(differences_N))


def sign_flip_p(differences_N: Float64[np.ndarray, " N"]) -> float:
    """The two-sided p value of a sum of differences, against their signs drawn at random.

    Under the hypothesis that it does not matter which system made which clip of a pair. All signs are tried for few
    clips; else 9,999 draws, the same ones for the same number of clips.
    """
    n = len(differences_N)
    own = abs(float(differences_N.sum())) - 1e-12 * float(np.abs(differences_N).sum())
    if n <= EXACT:
        signs_KN = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
        return float((np.abs(signs_KN @ differences_N) >= own).mean())
    rng, as_far = numpy_rng("metrics.paired", n, DRAWS), 1
    for start in range(0, DRAWS, BLOCK):
        signs_KN = rng.choice((-1.0, 1.0), size=(min(BLOCK, DRAWS - start), n))
        as_far += int((np.abs(signs_KN @ differences_N) >= own).sum())
    return as_far / (DRAWS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number, in the order given (Holm 1979: step down, never above 1).

    Where every hypothesis holds, the chance that any of them lies below a level is at most that level.

    >>> holm([0.02, 0.01, 0.9])
    [0.04, 0.03, 0.9]
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    corrected, so_far = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = so_far
    return corrected


def unpaired_interval(base: tuple[float, float, float], other: tuple[float, float, float]) -> Interval:
    """The 95 % interval of other − base from each one's value, low and high, which need not be symmetric.

    The method of variance estimates recovery (Zou and Donner 2008): each end takes from either interval the side that
    it depends on. It takes the two as independent; where both were measured on the same clips it is too wide.
    """
    (value_a, low_a, high_a), (value_b, low_b, high_b) = base, other
    difference = value_b - value_a
    down, up = np.hypot(value_b - low_b, high_a - value_a), np.hypot(high_b - value_b, value_a - low_a)
    return float(difference - down), float(difference + up)
