"""The gap between losses on training and on held-out clips: what a model knows of its training clips alone."""

from __future__ import annotations

from typing import Literal

from uniform_core.metrics.base import MODEL, Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.protocol import Protocol


class LossGapConfig(MetricConfig):
    """Held-out over training loss on fixed noise at a model's last step, the larger of the modalities that a task made.

    1 is no gap. Both are over the same number of clips, with the same times, noise and dropped texts.
    """

    kind: Literal["loss_gap"] = "loss_gap"

    of_model = True
    min_items = 0

    @classmethod
    def example(cls) -> LossGapConfig:
        return cls(protocol=Protocol(name="example", extractor=MODEL))

    @property
    def metric(self) -> str:
        return "loss_gap"

    @property
    def needs(self) -> tuple[Need, ...]:
        return tuple(Need(side, MODEL, "losses") for side in (Side.TRAINED, Side.HELD_OUT))

    def measure(self, inputs: Inputs) -> Measured | str:
        trained, held_out = (inputs[need] for need in self.needs)
        ratios = [float(held_out[key].item() / trained[key].item()) for key in trained.keys if key in held_out.keys]
        if not ratios:
            return "the training kept no losses on fixed noise of both training and held-out clips"
        return Measured(max(ratios), None, None, n_generated=0, n_reference=0)
