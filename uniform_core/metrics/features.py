"""Feature sets: what an extractor saw in each item, in key order, so that no result depends on who came first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from uniform_core.errors import ConfigError


@dataclass(frozen=True)
class FeatureSet:
    """Arrays by key, sorted by key; of one shape, or ragged (onset times). The key is what pairs two sets."""

    keys: tuple[str, ...]
    values: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, keys: Sequence[str], values: Sequence[np.ndarray] | np.ndarray) -> FeatureSet:
        """The set in key order. Raises ConfigError where keys repeat or their number differs from the values'."""
        if len(keys) != len(values):
            raise ConfigError(
                "feature set",
                expected=f"{len(keys)} values, one for each key",
                found=f"{len(values)}",
                fix="Hand in keys and values of the same length.",
            )
        order = sorted(range(len(keys)), key=keys.__getitem__)
        ordered = tuple(keys[i] for i in order)
        twice = next((a for a, b in pairwise(ordered) if a == b), None)
        if twice is not None:
            raise ConfigError("feature set", expected="unique keys", found=f"{twice} twice", fix="Drop one of them.")
        return cls(ordered, tuple(np.asarray(values[i]) for i in order))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.values[self.keys.index(key)]

    def problem(self) -> str | None:
        """Which value is not finite, in words; None where all are."""
        bad = [
            key
            for key, value in zip(self.keys, self.values, strict=True)
            if value.dtype.kind == "f" and not np.isfinite(value).all()
        ]
        return f"{len(bad)} of {len(self)} items are not finite, the first is {bad[0]}" if bad else None

    def matrix_ND(self) -> Float64[np.ndarray, "n d"]:
        """All values as float64 rows, each flattened. Raises ConfigError where their sizes differ."""
        sizes = sorted({value.size for value in self.values})
        if len(sizes) != 1:
            raise ConfigError(
                "feature set",
                expected="values of one size",
                found=f"sizes {sizes[:5]}",
                fix="Read them with one loading rule.",
            )
        rows_ND = np.empty((len(self.values), sizes[0]))  # filled in place: 15,000 rows of 2,048 are there once
        for row_D, value in zip(rows_ND, self.values, strict=True):
            row_D[:] = value.reshape(-1)
        return rows_ND

    def texts(self) -> tuple[str, ...]:
        """Values that are texts, such as labels."""
        return tuple(str(value.item()) for value in self.values)

    def only(self, keys: Sequence[str]) -> FeatureSet:
        """The items of these keys."""
        by_key = dict(zip(self.keys, self.values, strict=True))
        return FeatureSet.of(list(keys), [by_key[key] for key in keys])


def uneven(*sets: FeatureSet) -> str | None:
    """Why the rows of these sets cannot be compared with each other, in words; None where all have one width."""
    widths = sorted({value.size for found in sets for value in found.values})
    if len(widths) == 1 and widths[0]:
        return None
    return f"features have {' or '.join(map(str, widths[:5]))} values where all need the same number, at least one"
