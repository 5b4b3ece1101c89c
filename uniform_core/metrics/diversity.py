"""Diversity within classes: how far a system's clips of one class are apart, against real ones."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64

from uniform_core.metrics.base import LABELS_OF, SIDES, Inputs, Measured, MetricConfig, Need
from uniform_core.metrics.features import uneven
from uniform_core.metrics.protocol import Protocol


class DiversityConfig(MetricConfig):
    """Mean distance between two generated clips of a class over that between two real ones: 1 is as varied as real.

    The class that is `least` or `most` varied stands for the system, so that no class hides behind the others.
    """

    kind: Literal["diversity"] = "diversity"
    of: Literal["least", "most"] = "least"

    min_items = 2

    @classmethod
    def example(cls) -> DiversityConfig:
        return cls(protocol=Protocol(name="example", extractor="example"))

    @property
    def metric(self) -> str:
        return f"diversity_{self.of}"

    @property
    def needs(self) -> tuple[Need, ...]:
        looks = tuple(Need(side, self.protocol.extractor, self.protocol.layer) for side in SIDES)
        return (*looks, *(LABELS_OF[side] for side in SIDES))

    def measure(self, inputs: Inputs) -> Measured | str:
        generated, real, labels, real_labels = (inputs[need] for need in self.needs)
        if (problem := uneven(generated, real)) is not None:
            return problem
        spread = spread_by_class(generated.matrix_ND(), labels.texts())
        real_spread = spread_by_class(real.matrix_ND(), real_labels.texts())
        ratios = {label: spread[label] / real_spread[label] for label in spread if real_spread.get(label)}
        if not ratios:
            return "no class has two generated clips and two different real ones"
        lonely = len(set(labels.texts())) - len(ratios)
        warnings = (f"{lonely} classes without two clips on both sides were left out",) if lonely else ()
        value = min(ratios.values()) if self.of == "least" else max(ratios.values())
        return Measured(value, None, None, n_generated=len(generated), n_reference=len(real), warnings=warnings)


def spread_by_class(rows_ND: Float64[np.ndarray, "N D"], labels: tuple[str, ...]) -> dict[str, float]:
    """The mean distance between two different rows of each class that has two."""
    groups = {label: rows_ND[np.array(labels) == label] for label in sorted(set(labels))}
    return {label: _mean_distance(rows) for label, rows in groups.items() if len(rows) > 1}


def _mean_distance(rows_ND: np.ndarray) -> float:
    from scipy.spatial.distance import pdist  # here: a third of a second that `uniform plan` does not need

    return float(pdist(rows_ND).mean())
