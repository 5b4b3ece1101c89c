"""Class accuracy: how often the extractor sees or hears the class that was asked for."""

from __future__ import annotations

from typing import Literal

import numpy as np

from uniform_core.metrics.base import LABELS, Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.features import uneven
from uniform_core.metrics.intervals import wilson_interval
from uniform_core.metrics.protocol import Protocol


class ClassAccuracyConfig(MetricConfig):
    """The share of generated clips whose largest logit is that of their label."""

    kind: Literal["class_accuracy"] = "class_accuracy"
    classes: tuple[str, ...]  # in the order of the logits

    @classmethod
    def example(cls) -> ClassAccuracyConfig:
        return cls(protocol=Protocol(name="example", extractor="example", layer="logits"), classes=("a", "b", "c"))

    @property
    def metric(self) -> str:
        return "class_accuracy"

    @property
    def needs(self) -> tuple[Need, ...]:
        return (Need(Side.GENERATED, self.protocol.extractor, self.protocol.layer), LABELS)

    def measure(self, inputs: Inputs) -> Measured | str:
        logits = inputs[self.needs[0]]
        if (problem := uneven(logits)) is not None:
            return problem
        width = logits.matrix_ND().shape[1]
        if width != len(self.classes):
            return f"{width} logits for {len(self.classes)} classes"
        hits = self.clip_values(inputs)
        total = len(inputs[LABELS])
        if not hits:
            return f"none of {total} labels is a class of {self.protocol.extractor}: {', '.join(self.classes)}"
        share = float(np.mean(list(hits.values())))
        low, high = wilson_interval(share, n_effective=len(hits))
        unknown = total - len(hits)
        warnings = (f"{unknown} clips of classes that the extractor does not know were left out",) if unknown else ()
        return Measured(share, low, high, n_generated=len(hits), n_reference=0, warnings=warnings)

    def clip_values(self, inputs: Inputs) -> dict[str, float]:
        """1.0 or 0.0 for each clip whose label is a known class."""
        seen_N = inputs[self.needs[0]].matrix_ND().argmax(axis=1)
        labels = inputs[LABELS]
        pairs = zip(labels.keys, labels.texts(), seen_N.tolist(), strict=True)
        return {key: float(self.classes[seen] == label) for key, label, seen in pairs if label in self.classes}
