"""The Fréchet distance of infinitely many items, by a line over 1 / n: its bias is close to proportional to that.

Both sides are made smaller by the same share, so that the bias of both goes with 1 / share; the line's value at 0 is
the estimate. It may lie below zero. Source of the idea: Chong and Forsyth 2020; fadtk draws the line over one side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from uniform_core.metrics.clouds import Cloud
from uniform_core.seeds import numpy_rng
from uniform_core.types import Count, Frozen, NonNegative

Distance = Callable[[Cloud, Cloud], float]


class Extrapolation(Frozen):
    """Over how many shares of the clips, evenly spread in 1 / share, and how often each is drawn."""

    sizes: Count = Field(default=6, ge=2)
    least_share: float = Field(default=0.5, gt=0, lt=1)
    draws: Count = 4
    seed: NonNegative = 0

    def why_not(self, first: Cloud, second: Cloud) -> str | None:
        """Why the clouds are too small for a line, in words; None where they are not."""
        d = first.width
        smallest = int(min(len(first), len(second)) * self.least_share)
        if smallest > d:
            return None
        return f"{smallest} rows in the smallest share, where a line over 1 / n needs more than the {d} features"

    def value(self, first: Cloud, second: Cloud, distance: Distance) -> float:
        """The distance at 1 / n = 0."""
        inverse_S = np.linspace(1.0, 1.0 / self.least_share, self.sizes)
        means_S = np.zeros(self.sizes)
        for draw in range(self.draws):
            orders = [
                _order(side, seed=(self.seed, draw, name)) for name, side in (("first", first), ("second", second))
            ]
            for index, inverse in enumerate(inverse_S):
                parts = [
                    _share(side, order, 1.0 / inverse) for side, order in zip((first, second), orders, strict=True)
                ]
                means_S[index] += distance(*parts) / self.draws
        _, at_zero = np.polyfit(inverse_S, means_S, 1)
        return float(at_zero)


def _order(side: Cloud, *, seed: tuple[int, int, str]) -> np.ndarray:
    """A place for each clip in a random order."""
    return numpy_rng("metrics.extrapolation", *seed, side.clips).permutation(side.clips)


def _share(side: Cloud, order: np.ndarray, share: float) -> Cloud:
    """The rows of the first so many clips of an order."""
    return side.only(order[side.clip_R] < max(1, round(share * side.clips)))
