"""Kernel distance of two feature sets: KVD, KAD, by the protocol's extractor."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from uniform_core.metrics.base import LABELS_OF, SIDES, Inputs, Measured, Need
from uniform_core.metrics.distance import DistanceConfig, Generated, Reference
from uniform_core.metrics.intervals import Z_95, jackknife_variance
from uniform_core.metrics.polynomial import kernel_sums, subset_mmds
from uniform_core.metrics.strata import strata_of
from uniform_core.types import Count, Frozen, NonNegative, PositiveFloat


class Subsets(Frozen):
    """The subsets form: the mean over random subsets of equal size."""

    count: Count = 100
    size: Count = 1000
    seed: NonNegative = 2020


class KernelConfig(DistanceConfig):
    """The unbiased squared MMD with the cubic kernel, over all items or as a mean over subsets."""

    kind: Literal["kernel"] = "kernel"
    word: Literal["kvd", "kad", "kid"] = "kvd"
    subsets: Subsets | None = None  # None: all items at once (MM-Diffusion)
    by_class: bool = False  # for sides whose classes have fixed numbers of clips: pairs are averaged class by class
    scale: PositiveFloat = 1.0  # StyleGAN-V reports a thousandfold

    @model_validator(mode="after")
    def _subsets_have_no_classes(self) -> KernelConfig:
        if self.by_class and self.subsets is not None:
            raise ValueError("by_class has no meaning with subsets, which are drawn at random: set one of the two")
        return self

    @property
    def needs(self) -> tuple[Need, ...]:
        return (*super().needs, *((LABELS_OF[side] for side in SIDES) if self.by_class else ()))

    def distance(self, generated_ND: Generated, reference_MD: Reference, inputs: Inputs) -> Measured | str:
        n, m = len(generated_ND), len(reference_MD)
        if self.subsets is not None and min(n, m) < self.subsets.size:
            return f"{min(n, m)} items where the protocol draws subsets of {self.subsets.size}"
        strata = [strata_of(inputs[LABELS_OF[side]].texts()) if self.by_class else None for side in SIDES]
        sums = kernel_sums(generated_ND, reference_MD, first_strata_N=strata[0], second_strata_M=strata[1])
        value, variance_of_draw = sums.estimate(), 0.0
        if self.subsets is not None:
            draws = subset_mmds(
                generated_ND,
                reference_MD,
                subsets=self.subsets.count,
                size=self.subsets.size,
                seed=self.subsets.seed,
            )
            value, variance_of_draw = float(draws.mean()), float(draws.var()) / len(draws)
        if min(n, m) < 3:
            return Measured(self.scale * value, None, None, n_generated=n, n_reference=m)
        # Subsets overlap, so that their spread is no standard error: the jackknife is taken over the items.
        variance = jackknife_variance(sums.without_first(), stratum=sums.first.stratum_N)
        variance += jackknife_variance(sums.without_second(), stratum=sums.second.stratum_N)
        half = Z_95 * float(np.sqrt(variance + variance_of_draw))
        low, high = self.scale * (value - half), self.scale * (value + half)
        return Measured(self.scale * value, low, high, n_generated=n, n_reference=m)
