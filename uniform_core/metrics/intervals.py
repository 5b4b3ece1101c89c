"""95 % intervals. A percentile bootstrap is not among them: duplicates bias distances between sets upward."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int

from uniform_core.seeds import numpy_rng

Z_95 = 1.959963984540054


def mean_interval(values_N: Float64[np.ndarray, " n"]) -> tuple[float, float] | tuple[None, None]:
    """The Student interval of a mean; None below two values."""
    n = len(values_N)
    if n < 2:
        return None, None
    half = _student(n - 1) * float(values_N.std(ddof=1)) / np.sqrt(n)
    mean = float(values_N.mean())
    return float(mean - half), float(mean + half)


def wilson_interval(share: float, *, n_effective: int | float) -> tuple[float, float]:
    """The Wilson interval of a share in [0, 1]: never wider than that, never of zero width at 0 or 1."""
    z2 = Z_95**2
    centre = (share + z2 / (2 * n_effective)) / (1 + z2 / n_effective)
    half = Z_95 * np.sqrt(share * (1 - share) / n_effective + z2 / (4 * n_effective**2)) / (1 + z2 / n_effective)
    return max(0.0, min(share, float(centre - half))), min(1.0, max(share, float(centre + half)))


def groups_of(n: int, *, groups: int) -> Int[np.ndarray, " n"]:
    """A group for each of n items in key order: equal sizes, shuffled, so that keys sorted by class do not matter."""
    assigned_N: np.ndarray = np.arange(n) % groups
    return numpy_rng("metrics.jackknife", n, groups).permutation(assigned_N)


def jackknife_variance(left_out: Float64[np.ndarray, " g"], *, stratum: Int[np.ndarray, " g"] | None = None) -> float:
    """The variance of a statistic from its values with each group left out in turn.

    `stratum` numbers the stratum of each group from 0, where the sample was drawn from strata of fixed sizes: then what
    differs between strata is no chance.
    """
    stratum = np.zeros(len(left_out), dtype=np.int64) if stratum is None else stratum
    parts = (left_out[stratum == s] for s in range(int(stratum.max()) + 1))
    return float(sum((len(part) - 1) / len(part) * ((part - part.mean()) ** 2).sum() for part in parts))


def two_sample_interval(
    value: float,
    *,
    first_left_out: Float64[np.ndarray, " g"],
    second_left_out: Float64[np.ndarray, " h"],
    floor: float = -np.inf,
) -> tuple[float, float]:
    """The Student interval of a statistic of two independent samples, by the delete-group jackknife of each."""
    variance = jackknife_variance(first_left_out) + jackknife_variance(second_left_out)
    freedom = min(len(first_left_out), len(second_left_out)) - 1
    half = _student(freedom) * float(np.sqrt(variance))
    return max(value - half, floor), value + half


def left_out_values(n: int, statistic: Callable[[np.ndarray], float], *, groups: int) -> Float64[np.ndarray, " g"]:
    """`statistic` of the indices that stay, for each group left out in turn. Groups never exceed n."""
    assigned_N = groups_of(n, groups=min(groups, n))
    return np.array([statistic(np.flatnonzero(assigned_N != g)) for g in range(min(groups, n))])


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's distribution."""
    import scipy.special  # here: half a second that `uniform plan` does not need

    return float(scipy.special.stdtrit(freedom, 0.975))
