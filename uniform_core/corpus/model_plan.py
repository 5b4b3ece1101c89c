"""What the model of a run would cost: parameters, FLOPs, bytes, memory, hours. Arithmetic, before anything is there."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from uniform_core.config import RunConfig
from uniform_core.model import cost
from uniform_core.types import Task

# Of bf16 products on an H100, measured elsewhere (the data sheet says 989). What share of it a training reaches is an
# assumption until it is measured: half is this project's aim, and a little above torchtitan's 39 % of 989 for Llama 8B.
H100_FLOPS: Final = 798e12
ASSUMED_SHARE: Final = 0.5


@dataclass(frozen=True)
class ModelPlan:
    """One clip, and the training of them all. FLOPs are for the longest text that the encoder gives."""

    parameters: int
    tokens: int
    text_tokens: int
    forward_flops: dict[str, int]  # by part
    train_flops: int  # of a clip: three forwards; those that checkpointing repeats are in `machine_train_flops`
    machine_train_flops: int
    generation_flops: int  # of a clip, with every step's passes
    latent_bytes: dict[str, int]  # of a clip, by dtype
    text_bytes: dict[str, int]
    micro_batch: int
    memory: dict[str, int]  # of one rank, in bytes: an estimate
    checkpoints: int  # that are kept
    checkpoint_bytes: int
    export_bytes: int  # of the model that leaves training
    clip_passes: int
    training_flops: int  # of the whole recipe, as the machine does them
    h100_hours: float
    assumed_share: float = ASSUMED_SHARE
    h100_flops: float = H100_FLOPS

    @property
    def disk_bytes(self) -> int:
        """What a training leaves on the disk; while a checkpoint is written there is one more."""
        return self.checkpoints * self.checkpoint_bytes + self.export_bytes

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan_model(config: RunConfig) -> ModelPlan:
    """The costs of a run's model, of its recipe of steps x batch clips."""
    model, layout, train = config.model, config.layout, config.train
    tokens, form = config.text.max_tokens, train.block_form
    forward = cost.forward_flops(model, layout, text_tokens=tokens)
    machine = cost.train_flops(model, layout, text_tokens=tokens, recompute_every=form.recompute_every)
    micro_batch = train.micro_batch or train.batch // config.train_workers
    memory = cost.train_memory(
        model,
        layout,
        micro_batch=micro_batch,
        precision=train.precision,
        recompute_every=form.recompute_every,
        is_compiled=form.is_compiled,
    )
    disk = cost.train_disk(model, layout, has_guide=train.guide_at is not None)
    values = math.prod(layout.video_CTHW) + math.prod(layout.audio_CTF)
    passes = train.steps * train.batch
    return ModelPlan(
        parameters=cost.count_parameters(model, layout),
        tokens=layout.tokens,
        text_tokens=tokens,
        forward_flops={**asdict(forward), "total": forward.total},
        train_flops=3 * forward.total,
        machine_train_flops=machine,
        generation_flops=_generation_flops(config, tokens),
        latent_bytes={"bfloat16": 2 * values, "float32": 4 * values},
        text_bytes={"bfloat16": 2 * tokens * config.text.width, "float32": 4 * tokens * config.text.width},
        micro_batch=micro_batch,
        memory={**asdict(memory), "total": memory.total},
        checkpoints=min(train.keep_checkpoints, math.ceil(train.steps / train.checkpoint_every)),
        checkpoint_bytes=disk.checkpoint,
        export_bytes=disk.export,
        clip_passes=passes,
        training_flops=passes * machine,
        h100_hours=h100_hours(passes * machine),
    )


def h100_hours(flops: float, *, share: float = ASSUMED_SHARE) -> float:
    """Hours that one H100 takes at a share of its rate of products."""
    return flops / (share * H100_FLOPS) / 3600


def _generation_flops(config: RunConfig, text_tokens: int) -> int:
    """A T2AV clip with its caption: a forward pass for each step, one more for text guidance, one more for a guide.

    A sampler that asks twice a step (Heun) takes twice that.
    """
    guidance = config.sample.guidance
    passes = 1 + (guidance.text_scale != 1) + bool(guidance.by_guide(Task.T2AV))
    steps = config.sample.sampler_of(Task.T2AV).steps
    return cost.generation_flops(config.model, config.layout, text_tokens=text_tokens, steps=steps, passes=passes)
