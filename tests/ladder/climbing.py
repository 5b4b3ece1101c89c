"""Metrics up the ladders: a value for each group and rung, its trend, and whether that is what was expected.

Axes: G groups, R rungs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ladder.claims import Claim, claims_of
from ladder.degradations import LADDERS, Clips
from ladder.looking import Gallery
from ladder.takes import Group
from ladder.trends import Trend, holm, told, trend_of
from uniform_core.metrics.base import MetricConfig

LEVEL_OF_TEST = 0.05


@dataclass(frozen=True)
class Cell:
    """A metric on a ladder. `p` is corrected for the number of cells of its kind, but for OPEN ones."""

    metric: str
    ladder: str
    claim: Claim
    values_GR: np.ndarray
    trend: Trend
    p: float

    @property
    def holds(self) -> bool:
        """Whether the metric did what was expected; an open cell always does."""
        if self.claim in (Claim.UP, Claim.DOWN):
            return self.p < LEVEL_OF_TEST
        if self.claim is Claim.SAME:
            return self.trend.is_same
        return self.claim is Claim.OPEN or self.p >= LEVEL_OF_TEST


Values = dict[tuple[str, str], np.ndarray]
"""By metric and ladder, [G, R]."""


def climb(
    metrics: Sequence[MetricConfig],
    gallery: Gallery,
    groups: Sequence[Group],
    *,
    ladders: Sequence[str] = tuple(LADDERS),
    every: int = 1,
) -> Iterator[Values]:
    """The values of the groups so far, after each: every metric, untouched and on every `every`-th rung above."""
    values: dict[tuple[str, str], list[list[float]]] = {(m.name, name): [] for m in metrics for name in ladders}
    for group in groups:
        for name in ladders:
            rungs = (None, *LADDERS[name].rungs[every - 1 :: every])
            found = [_scores(metrics, gallery, group, clips) for clips in _rungs_of(group.clips, name, rungs)]
            for metric in metrics:
                values[metric.name, name].append([told(scores[metric.name]) for scores in found])
        yield {key: np.array(rows) for key, rows in values.items()}


def judged(values: Mapping[tuple[str, str], np.ndarray]) -> tuple[Cell, ...]:
    """A cell for each metric and ladder; p values of directions and of levels are corrected apart, by Holm."""
    trends = {key: trend_of(values_GR) for key, values_GR in values.items()}
    claimed = {(metric, ladder): claims_of(metric)[ladder] for metric, ladder in values}
    raw = {key: _p_of(trends[key], claim) for key, claim in claimed.items()}
    corrected = dict(raw)
    for kinds in ({Claim.UP, Claim.DOWN}, {Claim.LEVEL}):
        keys = [key for key, claim in claimed.items() if claim in kinds]
        corrected |= dict(zip(keys, holm([raw[key] for key in keys]), strict=True))
    return tuple(Cell(*key, claimed[key], values[key], trends[key], corrected[key]) for key in values)


def _rungs_of(clips: Clips, ladder: str, rungs: tuple[float | None, ...]) -> Iterator[Clips]:
    for strength in rungs:
        yield clips if strength is None else LADDERS[ladder].degraded(clips, strength)


def _scores(metrics: Sequence[MetricConfig], gallery: Gallery, group: Group, clips: Clips) -> dict[str, float]:
    scores: dict[str, float] = {}
    for metric in metrics:
        score = metric.score(gallery.inputs(metric, clips, group.clips if metric.paired else group.reference))
        assert score.value is not None, f"{score.name}: {score.reason}"
        scores[metric.name] = score.value
    return scores


def _p_of(trend: Trend, claim: Claim) -> float:
    return {Claim.UP: trend.p_up, Claim.DOWN: trend.p_down}.get(claim, trend.p_any)
