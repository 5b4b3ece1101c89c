"""KL divergence between the classes heard or seen in a generated item and in its reference, paired by key."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from uniform_core.metrics.base import SIDES, Inputs, Measured, MetricConfig, Need
from uniform_core.metrics.divergence import Activation, kl_divergences
from uniform_core.metrics.features import uneven
from uniform_core.metrics.intervals import mean_interval
from uniform_core.metrics.protocol import Protocol
from uniform_core.types import Fraction


class KlConfig(MetricConfig):
    """Mean KL(reference ‖ generated) over pairs; null where fewer than `min_matched` of the generated have a pair."""

    kind: Literal["kl"] = "kl"
    activation: Activation = "softmax"
    eps: Annotated[float, Field(ge=0)] = 0.0
    min_matched: Fraction = 1.0

    paired = True

    @classmethod
    def example(cls) -> KlConfig:
        return cls(protocol=Protocol(name="example", extractor="example", layer="logits"))

    @property
    def metric(self) -> str:
        return "kl" if self.activation == "softmax" else "kl_sigmoid"

    @property
    def needs(self) -> tuple[Need, ...]:
        return tuple(Need(side, self.protocol.extractor, self.protocol.layer) for side in SIDES)

    def measure(self, inputs: Inputs) -> Measured | str:
        generated, reference = (inputs[need] for need in self.needs)
        known = set(reference.keys)
        lonely = [key for key in generated.keys if key not in known]
        matched = len(generated) - len(lonely)
        if not matched or matched < self.min_matched * len(generated):
            return f"{len(lonely)} of {len(generated)} generated items have no reference, the first is {lonely[0]}"
        if (problem := uneven(generated, reference)) is not None:
            return problem
        values_N = np.array(list(self.clip_values(inputs).values()))
        low, high = mean_interval(values_N)
        warnings = (f"{len(lonely)} generated items without a reference were left out",) if lonely else ()
        return Measured(float(values_N.mean()), low, high, n_generated=matched, n_reference=matched, warnings=warnings)

    def clip_values(self, inputs: Inputs) -> dict[str, float]:
        generated, reference = (inputs[need] for need in self.needs)
        known = set(reference.keys)
        keys = [key for key in generated.keys if key in known]
        if not keys:
            return {}
        values_N = kl_divergences(
            generated.only(keys).matrix_ND(),
            reference.only(keys).matrix_ND(),
            activation=self.activation,
            eps=self.eps,
        )
        return dict(zip(keys, values_N.tolist(), strict=True))
