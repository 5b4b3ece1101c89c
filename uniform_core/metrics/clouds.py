"""Rows of features that belong to clips: one row a clip, or several that are pooled. Axes: R rows, D features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from uniform_core.metrics.features import FeatureSet, uneven


@dataclass(frozen=True)
class Cloud:
    """The rows of one side, and the clip that each is of, numbered from 0 in key order."""

    rows_RD: Float64[np.ndarray, "r d"]
    clip_R: Int[np.ndarray, " r"]
    clips: int

    @classmethod
    def of_rows(cls, rows_ND: Float64[np.ndarray, "n d"]) -> Cloud:
        """One row for each clip."""
        return cls(rows_ND, np.arange(len(rows_ND)), len(rows_ND))

    @classmethod
    def pooled(cls, found: FeatureSet) -> Cloud:
        """The rows of each clip's array [rows, d]."""
        rows = [np.asarray(value, dtype=np.float64) for value in found.values]
        clip_R = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
        return cls(np.concatenate(rows), clip_R, len(rows))

    def only(self, kept_R: np.ndarray) -> Float64[np.ndarray, "k d"]:
        """The rows of a mask."""
        kept_KD: np.ndarray = self.rows_RD[kept_R]
        return kept_KD


def unpoolable(*sets: FeatureSet) -> str | None:
    """Why the rows of these sets cannot be pooled, in words; None where all have rows of one width."""
    for found in sets:
        for key, value in zip(found.keys, found.values, strict=True):
            if value.ndim != 2 or not len(value):
                return f"{key} has features of shape {list(value.shape)} where rows are pooled, at least one a clip"
    return uneven(*(FeatureSet(found.keys, tuple(value[:1] for value in found.values)) for found in sets))
