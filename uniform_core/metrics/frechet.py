"""Fréchet distance of two feature sets: FVD, FAD, FD, by the protocol's extractor. Axes: G groups."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from uniform_core.metrics.base import Inputs, Measured
from uniform_core.metrics.clouds import Cloud, unpoolable
from uniform_core.metrics.distance import OfTwoClouds
from uniform_core.metrics.extrapolation import Extrapolation
from uniform_core.metrics.features import uneven
from uniform_core.metrics.gaussian import frechet_float32_svd, frechet_from_features, frechet_from_moments
from uniform_core.metrics.intervals import groups_of, two_sample_interval
from uniform_core.metrics.moments import of_all_but_each


class FrechetConfig(OfTwoClouds):
    """The Fréchet distance. Its expectation grows as n falls: compare equal n only.

    The interval is that of this expectation, of distances between samples of these sizes, not of the distance between
    the populations: with many features for the n, that one lies below it. `infinite` asks for that one.
    """

    precisions = ("float64", "float32_svd")

    kind: Literal["frechet"] = "frechet"
    word: Literal["fvd", "fad", "fd"] = "fvd"
    ddof: Literal[0, 1] = 1
    groups: Annotated[int, Field(strict=True, ge=0)] = 20  # of the jackknife; 0 for no interval (2 x groups distances)
    # A clip's features are rows, and the rows of all clips are the items (VGGish: one each 0.96 s). Clips stay whole in
    # the jackknife. Both are left out of a dump at these values.
    pooled: bool = Field(default=False, exclude_if=lambda value: value is False)
    infinite: Extrapolation | None = Field(default=None, exclude_if=lambda value: value is None)

    @property
    def metric(self) -> str:
        return self.word if self.infinite is None else f"{self.word}_infinite"

    def measure(self, inputs: Inputs) -> Measured | str:
        sets = [inputs[need] for need in self.needs]
        if (problem := (unpoolable if self.pooled else uneven)(*sets)) is not None:
            return problem
        return self._measured(*(Cloud.pooled(found) if self.pooled else Cloud.of_items(found) for found in sets))

    def _measured(self, generated: Cloud, reference: Cloud) -> Measured | str:
        rows, d = min(len(generated), len(reference)), generated.width
        if self.infinite is not None and (problem := self.infinite.why_not(generated, reference)) is not None:
            return problem
        value = self._between(generated, reference)
        low, high = self._interval(value, generated, reference)
        what = "rows" if self.pooled else "items"
        warnings = (f"{rows} {what} for {d} features: the distance is mostly sample size",) if rows <= d else ()
        return Measured(value, low, high, n_generated=generated.clips, n_reference=reference.clips, warnings=warnings)

    def _between(self, first: Cloud, second: Cloud) -> float:
        if self.infinite is not None:
            return self.infinite.value(first, second, self._distance)
        return self._distance(first, second)

    def _distance(self, first: Cloud, second: Cloud) -> float:
        if self.protocol.precision == "float32_svd":
            return frechet_float32_svd(first.matrix_RD(), second.matrix_RD(), ddof=self.ddof)
        if min(len(first), len(second)) > first.width:
            return frechet_from_moments(first.moments(), second.moments(), ddof=self.ddof)
        return frechet_from_features(first.matrix_RD(), second.matrix_RD(), ddof=self.ddof)

    def _interval(self, value: float, generated: Cloud, reference: Cloud) -> tuple[float, float] | tuple[None, None]:
        """The delete-group jackknife of both sides; None where a side without a group has fewer than two items."""
        fewest = min(generated.clips, reference.clips)
        if self.groups < 2 or fewest - math.ceil(fewest / self.groups) < 2:
            return None, None
        by_generated = self._left_out(generated, reference)
        by_reference = self._left_out(reference, generated)
        floor = 0.0 if self.infinite is None else -math.inf
        return two_sample_interval(value, first_left_out=by_generated, second_left_out=by_reference, floor=floor)

    def _left_out(self, varied: Cloud, fixed: Cloud) -> Float64[np.ndarray, " g"]:
        """The distance with each group of the clips of `varied` left out in turn."""
        groups = min(self.groups, varied.clips)
        group_R = groups_of(varied.clips, groups=groups)[varied.clip_R]
        d, fewest = varied.width, len(varied) - int(np.bincount(group_R, minlength=groups).max())
        plain = self.infinite is None and self.protocol.precision == "float64"
        if not plain or min(fewest - 1, len(fixed)) <= d:
            return np.array([self._between(varied.only(group_R != g), fixed) for g in range(groups)])
        of_fixed = fixed.moments()
        parts = [varied.only(group_R == g).moments() for g in range(groups)]
        return of_all_but_each(parts, lambda rest: frechet_from_moments(rest, of_fixed, ddof=self.ddof), width=d)
