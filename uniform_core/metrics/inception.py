"""Inception score of generated items, on the logits of the protocol's extractor."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from uniform_core.metrics.base import Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.divergence import inception_scores
from uniform_core.metrics.features import uneven
from uniform_core.metrics.intervals import Z_95, jackknife_variance, left_out_values, mean_interval
from uniform_core.metrics.protocol import Protocol
from uniform_core.types import Count, NonNegative


class InceptionConfig(MetricConfig):
    """The inception score. It falls with the items per split: compare equal n and equal splits only."""

    kind: Literal["inception"] = "inception"
    splits: Count = 10
    seed: NonNegative | None = 2020  # of the permutation before the split; None keeps key order
    eps: Annotated[float, Field(ge=0)] = 0.0

    @classmethod
    def example(cls) -> InceptionConfig:
        return cls(protocol=Protocol(name="example", extractor="example", layer="logits"), splits=2)

    @property
    def metric(self) -> str:
        return "is"

    @property
    def needs(self) -> tuple[Need, ...]:
        return (Need(Side.GENERATED, self.protocol.extractor, self.protocol.layer),)

    def measure(self, inputs: Inputs) -> Measured | str:
        logits = inputs[self.needs[0]]
        if (problem := uneven(logits)) is not None:
            return problem
        logits_NK = logits.matrix_ND()
        n = len(logits_NK)
        if n < self.splits:
            return f"{n} items where the protocol cuts {self.splits} splits"
        scores = inception_scores(logits_NK, splits=self.splits, seed=self.seed, eps=self.eps)
        low, high = self._interval(logits_NK, scores)
        return Measured(float(scores.mean()), low, high, n_generated=n, n_reference=0)

    def _interval(self, logits_NK: np.ndarray, scores: np.ndarray) -> tuple[float, float] | tuple[None, None]:
        """By the spread of the splits; for one split by the delete-group jackknife, the score being smooth then."""
        if self.splits > 1:
            return mean_interval(scores)
        if len(logits_NK) < 3:
            return None, None

        def of(kept: np.ndarray) -> float:
            return float(inception_scores(logits_NK[kept], splits=1, seed=None, eps=self.eps)[0])

        half = Z_95 * float(np.sqrt(jackknife_variance(left_out_values(len(logits_NK), of, groups=20))))
        return max(float(scores[0]) - half, 1.0), float(scores[0]) + half
