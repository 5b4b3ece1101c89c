"""Rows of features that belong to clips: one row a clip, or several that are pooled. Axes: R, K rows, D features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from uniform_core.metrics.features import FeatureSet, uneven
from uniform_core.metrics.moments import BLOCK_ROWS, Moments


@dataclass(frozen=True)
class Cloud:
    """The rows of one side as they are stored, none of them copied, and the clip that each is of.

    Rows stand in key order. Clips are numbered from 0. What is reduced is taken from the rows in float64, a block at a
    time: a cloud of 100,000 rows is never there in float64 as a whole.
    """

    rows: Sequence[np.ndarray]  # each [D]
    clip_R: Int[np.ndarray, " r"]
    clips: int

    @classmethod
    def of_items(cls, found: FeatureSet) -> Cloud:
        """One row for each clip: its array, flattened."""
        return cls([value.reshape(-1) for value in found.values], np.arange(len(found)), len(found))

    @classmethod
    def pooled(cls, found: FeatureSet) -> Cloud:
        """The rows of each clip's array [rows, d]."""
        clip_R = np.repeat(np.arange(len(found)), [len(value) for value in found.values])
        return cls([row_D for value in found.values for row_D in value], clip_R, len(found))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        """How many features a row has."""
        return self.rows[0].size

    def only(self, kept_R: Bool[np.ndarray, " r"]) -> Cloud:
        """The rows of a mask, their clips numbered anew."""
        clips, clip_K = np.unique(self.clip_R[kept_R], return_inverse=True)
        return Cloud([self.rows[place] for place in np.flatnonzero(kept_R).tolist()], clip_K, len(clips))

    def moments(self) -> Moments:
        """Those of `Moments.of` the rows, to the last digit: the blocks are the same."""
        return Moments.of_blocks(self._blocks(), width=self.width)

    def matrix_RD(self) -> Float64[np.ndarray, "r d"]:
        """All rows."""
        return _stacked(self.rows, self.width)

    def _blocks(self) -> Iterator[Float64[np.ndarray, "k d"]]:
        for start in range(0, len(self), BLOCK_ROWS):
            yield _stacked(self.rows[start : start + BLOCK_ROWS], self.width)


def _stacked(rows: Sequence[np.ndarray], width: int) -> Float64[np.ndarray, "k d"]:
    rows_KD = np.empty((len(rows), width))
    for to_D, row_D in zip(rows_KD, rows, strict=True):
        to_D[:] = row_D
    return rows_KD


def unpoolable(*sets: FeatureSet) -> str | None:
    """Why the rows of these sets cannot be pooled, in words; None where all have rows of one width."""
    for found in sets:
        for key, value in zip(found.keys, found.values, strict=True):
            if value.ndim != 2 or not len(value):
                return f"{key} has features of shape {list(value.shape)} where rows are pooled, at least one a clip"
    return uneven(*(FeatureSet(found.keys, tuple(value[:1] for value in found.values)) for found in sets))
