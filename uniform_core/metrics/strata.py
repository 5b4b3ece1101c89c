"""Strata: samples in which each class was given a fixed number of items, not the number that chance gives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

LEAST = 3  # items of a stratum: a pair stays when one is left out


def strata_of(labels: Sequence[str]) -> Int[np.ndarray, " n"]:
    """The stratum of each item, from 0 in the order of the labels.

    Classes of fewer than `LEAST` items are one stratum together; where these are too few as well, with the smallest
    other class.
    """
    counts = Counter(labels)
    small = {label for label, count in counts.items() if count < LEAST}
    large = sorted(counts.keys() - small, key=lambda label: (counts[label], label))
    if large and 0 < sum(counts[label] for label in small) < LEAST:
        small.add(large.pop(0))
    number = {label: place for place, label in enumerate(sorted(large), start=1 if small else 0)}
    return np.array([number.get(label, 0) for label in labels], dtype=np.int64)
