"""How often a clip's own sound fits its picture better than the sound of another clip of its class. Axis: n clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from uniform_core.metrics.intervals import jackknife_variance, wilson_interval

Against = Literal["sounds", "pictures", "both"]


@dataclass(frozen=True)
class PairWins:
    """Mean share of wins against every same-class partner: 0.5 is chance, ties count half.

    `clips_N` is each clip's share, NaN for a clip without a partner. `low` and `high` end the 95 % interval.
    """

    mean: float
    low: float
    high: float
    clips_N: Float64[np.ndarray, " n"]

    @property
    def n(self) -> int:
        """Clips that have a partner."""
        return int(np.isfinite(self.clips_N).sum())


def pair_wins(
    similarity_NN: Float[np.ndarray, "n n"], labels: Sequence[str], *, against: Against = "both"
) -> PairWins | None:
    """The wins of similarity[i, i] (picture i, sound i) over same-class pairs; None where no clip has a partner.

    `sounds`: over [i, j], the own picture with others' sound; `pictures`: over [j, i]; `both`: the mean of the two.
    """
    wins_NN = _wins(similarity_NN.astype(np.float64), against)
    groups = [np.flatnonzero(np.array(labels) == label) for label in sorted(set(labels))]
    groups = [members for members in groups if len(members) > 1]
    if not groups:
        return None
    clips_N = np.full(len(labels), np.nan)
    total = sum(len(members) for members in groups)
    variance = 0.0
    for members in groups:
        within = wins_NN[np.ix_(members, members)]
        np.fill_diagonal(within, 0.0)  # a copy: fancy indexing made it
        clips_N[members] = within.sum(axis=1) / (len(members) - 1)
        variance += (len(members) / total) ** 2 * _variance_of_mean(within)
    mean = float(np.nanmean(clips_N))
    low, high = wilson_interval(mean, n_effective=_effective_n(mean, variance, total))
    return PairWins(mean, low, high, clips_N)


def _wins(similarity_NN: np.ndarray, against: Against) -> np.ndarray:
    own_N1 = np.diag(similarity_NN)[:, None]

    def over(other_NN: np.ndarray) -> np.ndarray:
        wins_NN: np.ndarray = (own_N1 > other_NN) + 0.5 * (own_N1 == other_NN)
        return wins_NN

    if against == "sounds":
        return over(similarity_NN)
    if against == "pictures":
        return over(similarity_NN.T)
    mean_NN: np.ndarray = 0.5 * (over(similarity_NN) + over(similarity_NN.T))
    return mean_NN


def _variance_of_mean(wins_NN: np.ndarray) -> float:
    """The variance of a class's mean by the delete-one jackknife of the U-statistic.

    A clip left out leaves as a clip and as everyone's partner, so that the dependence between clips that share
    partners is counted; a bootstrap of the clips' own shares would miss it.
    """
    n = len(wins_NN)
    if n == 2:
        return 0.25  # one pair tells nothing of its spread: the largest variance that a share can have
    touched_N = wins_NN.sum(axis=0) + wins_NN.sum(axis=1)
    return jackknife_variance((wins_NN.sum() - touched_N) / ((n - 1) * (n - 2)))


def _effective_n(mean: float, variance: float, n: int) -> float:
    """How many independent clips would give this variance; n itself where all won or all lost."""
    if variance <= 0.0 or mean <= 0.0 or mean >= 1.0:
        return float(n)
    return max(1.0, mean * (1.0 - mean) / variance)
