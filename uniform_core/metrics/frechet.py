"""Fréchet distance of two feature sets: FVD, FAD, FD, by the protocol's extractor."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from uniform_core.metrics.base import Inputs, Measured
from uniform_core.metrics.distance import DistanceConfig, Generated, Reference
from uniform_core.metrics.gaussian import frechet_from_features, frechet_from_moments
from uniform_core.metrics.intervals import groups_of, two_sample_interval
from uniform_core.metrics.moments import Moments, all_but_each


class FrechetConfig(DistanceConfig):
    """The Fréchet distance. Its expectation grows as n falls: compare equal n only.

    The interval is that of this expectation, of distances between samples of these sizes, not of the distance between
    the populations: with many features for the n, that one lies below it.
    """

    kind: Literal["frechet"] = "frechet"
    word: Literal["fvd", "fad", "fd"] = "fvd"
    ddof: Literal[0, 1] = 1
    groups: Annotated[int, Field(strict=True, ge=0)] = 20  # of the jackknife; 0 for no interval (2 x groups distances)

    def distance(self, generated_ND: Generated, reference_MD: Reference, inputs: Inputs) -> Measured | str:
        del inputs
        n, m, d = len(generated_ND), len(reference_MD), generated_ND.shape[1]
        value = frechet_from_features(generated_ND, reference_MD, ddof=self.ddof)
        low, high = self._interval(value, generated_ND, reference_MD)
        few = min(n, m) <= d
        warnings = (f"{min(n, m)} items for {d} features: the distance is mostly sample size",) if few else ()
        return Measured(value, low, high, n_generated=n, n_reference=m, warnings=warnings)

    def _interval(
        self, value: float, generated_ND: Float64[np.ndarray, "n d"], reference_MD: Float64[np.ndarray, "m d"]
    ) -> tuple[float, float] | tuple[None, None]:
        """The delete-group jackknife of both sides; None where a side without a group has fewer than two items."""
        fewest = min(len(generated_ND), len(reference_MD))
        if self.groups < 2 or fewest - math.ceil(fewest / self.groups) < 2:
            return None, None
        by_generated = self._left_out(generated_ND, reference_MD)
        by_reference = self._left_out(reference_MD, generated_ND)
        return two_sample_interval(value, first_left_out=by_generated, second_left_out=by_reference, floor=0.0)

    def _left_out(
        self, varied_ND: Float64[np.ndarray, "n d"], fixed_MD: Float64[np.ndarray, "m d"]
    ) -> Float64[np.ndarray, " g"]:
        """The distance with each group of `varied` left out in turn."""
        n, d = varied_ND.shape
        groups = min(self.groups, n)
        assigned_N = groups_of(n, groups=groups)
        if min(n - (n // groups + 1), len(fixed_MD)) <= d:
            kept = (varied_ND[assigned_N != g] for g in range(groups))
            return np.array([frechet_from_features(rows, fixed_MD, ddof=self.ddof) for rows in kept])
        fixed = Moments.of(fixed_MD)
        parts = [Moments.of(varied_ND[assigned_N == g]) for g in range(groups)]
        return np.array([frechet_from_moments(rest, fixed, ddof=self.ddof) for rest in all_but_each(parts, width=d)])
