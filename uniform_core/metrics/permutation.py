"""Permutation tests within classes: would partners of the same class do as well? Axes: N clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from uniform_core.seeds import numpy_rng

DRAWS = 9_999  # the least p value is 1 / (DRAWS + 1)
BLOCK = 500  # permutations held at once


def within_class_p(gain_NN: Float64[np.ndarray, "N N"], labels: Sequence[str]) -> float | None:
    """The one-sided p value of the sum of gain[i, i], against partners exchanged within each class.

    gain[i, j] says how well item i goes with partner j; it is read only where both are of one class. None where no
    class has two items: there is nothing to exchange.
    """
    groups = [np.flatnonzero(np.array(labels) == label) for label in sorted(set(labels))]
    groups = [members for members in groups if len(members) > 1]
    if not groups:
        return None
    kept = np.concatenate(groups)
    own = float(gain_NN[kept, kept].sum())
    rng = numpy_rng("metrics.permutation", len(labels), DRAWS)
    as_good = 1
    for start in range(0, DRAWS, BLOCK):
        draws = min(BLOCK, DRAWS - start)
        sums = np.zeros(draws)
        for members in groups:
            order = rng.permuted(np.tile(members, (draws, 1)), axis=1)
            sums += gain_NN[members[None], order].sum(axis=1)
        as_good += int((sums >= own - 1e-9 * max(1.0, abs(own))).sum())
    return as_good / (DRAWS + 1)
