"""What distances between two clouds of features share. Axes: N generated items, M reference items, D features."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from jaxtyping import Float64

from uniform_core.metrics.base import SIDES, Inputs, Measured, MetricConfig, Need
from uniform_core.metrics.features import uneven
from uniform_core.metrics.protocol import Protocol

Generated = Float64[np.ndarray, "N D"]
Reference = Float64[np.ndarray, "M D"]


class OfTwoClouds(MetricConfig):
    """A number of generated and reference features of one layer. `word` is its name in the literature."""

    min_items = 2

    word: str

    @classmethod
    def example(cls) -> OfTwoClouds:
        return cls.model_validate({"protocol": Protocol(name="example", extractor="example")})

    @property
    def metric(self) -> str:
        return self.word

    @property
    def needs(self) -> tuple[Need, ...]:
        return tuple(Need(side, self.protocol.extractor, self.protocol.layer) for side in SIDES)


class DistanceConfig(OfTwoClouds):
    """A distance that is computed of both clouds as float64 matrices."""

    def measure(self, inputs: Inputs) -> Measured | str:
        generated, reference = (inputs[need] for need in self.needs[:2])
        if (problem := uneven(generated, reference)) is not None:
            return problem
        return self.distance(generated.matrix_ND(), reference.matrix_ND(), inputs)

    @abstractmethod
    def distance(self, generated_ND: Generated, reference_MD: Reference, inputs: Inputs) -> Measured | str:
        """The number, or the reason why there is none, of at least `min_items` a side."""
