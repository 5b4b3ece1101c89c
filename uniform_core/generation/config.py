"""How clips are sampled from a trained model."""

from __future__ import annotations

from typing import Any, Literal

from uniform_core.devices import Device
from uniform_core.diffusion import AnySampler, GuidanceConfig
from uniform_core.types import Count, Frozen, Task


class SampleConfig(Frozen):
    """The sampler (with its steps and its clamp of x₀), the guidance, and how many clips are made at once.

    The paper: ancestral, 30 steps, text guidance 5 (§4.1.2). `device`, `batch` and `compile` (blocks through
    torch.compile) change speed and rounding only; `precision` is that of the weights that sample.
    """

    sampler: AnySampler
    # The same for tasks that are given a sound or a picture; None: `sampler`, as in the paper.
    sampler_given: AnySampler | None = None
    guidance: GuidanceConfig = GuidanceConfig()
    device: Device = "auto"
    batch: Count = 16
    compile: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"

    def sampler_of(self, task: Task) -> AnySampler:
        """The sampler of a task."""
        return self.sampler if task.given is None or self.sampler_given is None else self.sampler_given

    def scales_of(self, task: Task, *, with_text: bool) -> tuple[float, float]:
        """The scales of text and of modality guidance that act on a task: 1 where there is nothing to guide by."""
        text, given = self.guidance.text_scale, self.guidance.modality_scale
        return text if with_text else 1.0, 1.0 if task.given is None else given

    def fingerprint_params(self) -> dict[str, Any]:
        """What changes the clips: everything but what is for speed or memory alone, and scales that do nothing."""
        params = self.model_dump(
            mode="json", exclude={"device": True, "batch": True, "compile": True, "guidance": {"passes"}}
        )
        if self.precision == "float32":
            del params["precision"]
        if self.guidance == self.guidance.without_guide():
            del params["guidance"]["guide_scale"]
        if self.guidance.guide_scale_given is None:
            del params["guidance"]["guide_scale_given"]
        return params
