"""How a model is trained: every value that changes its weights. Where a number comes from stands beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from uniform_core.devices import Device
from uniform_core.model.config import BlockForm
from uniform_core.model.init_config import InitConfig
from uniform_core.types import Count, Fraction, Frozen, Modality, NonNegative, PositiveFloat, Task


class ModalityScaling(Frozen):
    """How one modality's raw latents become model latents of about unit variance.

    `over` says which values share a mean and a deviation: all of a channel, or all of a position (channel and place,
    pooled over time); `identity` leaves latents of codecs that scale themselves as they are (Open-Sora VAE, AudioLDM).
    `power` 1 whitens; below 1 strong channels stay stronger than weak ones: model = (raw - mean) / (std**power x c),
    with one c for the modality that makes the mean square 1. `floor` is the least deviation that is divided by, as a
    share of the modality's root mean square deviation.
    """

    over: Literal["identity", "channel", "position"] = "channel"
    power: Fraction = 1.0
    floor: Fraction = 1e-4

    @model_validator(mode="after")
    def _identity_has_no_power(self) -> ModalityScaling:
        if self.over == "identity" and self.power != 1.0:
            raise ValueError(f"power {self.power} has no meaning with over='identity': leave it at 1")
        return self


class ScalingConfig(Frozen):
    """Scaling of both modalities. The paper says nothing of it; its two VAEs scale themselves."""

    video: ModalityScaling = ModalityScaling()
    audio: ModalityScaling = ModalityScaling()


class TaskWeights(Frozen):
    """How often each task is drawn, up to a common factor. Paper Fig. 2: drawn at random in each iteration."""

    t2av: float = Field(default=1.0, ge=0)
    a2v: float = Field(default=1.0, ge=0)
    v2a: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _one_is_drawn(self) -> TaskWeights:
        if self.t2av + self.a2v + self.v2a <= 0:
            raise ValueError("at least one task must have a weight above 0")
        return self

    def probabilities(self) -> dict[Task, float]:
        """The probability of each task; they sum to 1."""
        weights = {Task.T2AV: self.t2av, Task.A2V: self.a2v, Task.V2A: self.v2a}
        total = sum(weights.values())
        return {task: weight / total for task, weight in weights.items()}


class TrainConfig(Frozen):
    """One training run. `batch` is global: over all ranks and micro-batches together.

    Defaults follow paper §4.1.2 (lr, batch, text drop) and, where it is silent, Open-Sora v1.2
    (scripts/train.py, configs/opensora-v1-2/train: warm-up 1000, AdamW betas, weight decay 0, gradient clip 1.0, bf16).
    """

    seed: NonNegative = 0
    init: InitConfig = InitConfig()
    steps: Count
    batch: Count = 32
    device: Device = "auto"  # a rank has a GPU of its own
    micro_batch: Count | None = None  # clips in one forward pass of one rank; None: all of the rank's
    lr: PositiveFloat = 1e-4
    warmup_steps: NonNegative = 1000
    lr_decay: Literal["constant", "linear", "cosine"] = "constant"
    lr_final: Fraction = 0.0  # share of lr that a decay ends at
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    adam_eps: PositiveFloat = 1e-8  # v1.2 uses 1e-15, which divides by rounding noise in bf16 gradients
    grad_clip: PositiveFloat = 1.0
    # The paper is silent; Open-Sora v1.2: 0.99 in its configs, 0.9999 as its code's default. 0.99 forgets in 69 steps.
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    # The share of the steps after which the moving average is kept as well, for sampling to be guided away from it
    # (GuidanceConfig.guide_scale). None: it is not kept. Not in the paper.
    guide_at: Annotated[float, Field(gt=0, lt=1)] | None = None
    text_drop: Fraction = 0.5  # paper §3.1: text is dropped with probability 0.5
    # The same for tasks that are given a sound or a picture; None: `text_drop`, as in the paper.
    text_drop_given: Fraction | None = None
    task_weights: TaskWeights = TaskWeights()
    # The one modality that is learned, by a model of the same form whose attention to the other's tokens is severed;
    # None: both. Paper §4.6.2 makes sound and picture so, each by itself. Left out of a dump where it is None.
    only: Modality | None = Field(default=None, exclude_if=lambda value: value is None)
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    # Blocks that keep only their input for backward and are run again there: none, each k-th, all. The same numbers for
    # less memory and up to a third more work.
    activation_checkpointing: Literal["none", "every_k", "all"] = "none"
    activation_checkpointing_k: Count | None = None
    compile: bool = False  # blocks through torch.compile: the same numbers up to rounding, after minutes of compiling
    scaling: ScalingConfig = ScalingConfig()
    validation_clips: NonNegative = 64  # held-out clips of the fixed-noise loss; 0: none
    validation_every: Count = 1000
    log_every: Count = 10
    checkpoint_every: Count = 1000
    keep_checkpoints: Count = 3

    @model_validator(mode="after")
    def _each_serves_something(self) -> TrainConfig:
        if self.lr_decay == "constant" and self.lr_final != 0.0:
            raise ValueError("lr_final is the end of a decay: set lr_decay, or leave lr_final at 0")
        if (self.activation_checkpointing == "every_k") != (self.activation_checkpointing_k is not None):
            raise ValueError("activation_checkpointing_k belongs to activation_checkpointing='every_k', and that to it")
        if self.warmup_steps >= self.steps and self.lr_decay != "constant":
            raise ValueError(f"warmup_steps {self.warmup_steps} must be below steps {self.steps} where lr decays")
        if self.only is not None and self.task_weights.probabilities()[Task.T2AV] < 1:
            raise ValueError(f"only {self.only} is of T2AV alone: set task_weights.a2v and task_weights.v2a to 0")
        return self

    def text_drop_of(self, task: Task) -> float:
        """The probability that a clip of a step of this task is trained without its text."""
        own = None if task.given is None else self.text_drop_given
        return self.text_drop if own is None else own

    def learned(self, task: Task) -> tuple[Modality, ...]:
        """The modalities that have a loss in a step of this task."""
        return task.made if self.only is None else (self.only,)

    def fingerprint_params(self) -> dict[str, object]:
        """What changes what is exported beyond rounding: all but how often is logged or saved, and speed."""
        unused = {"guide_at"} if self.guide_at is None else set()
        params = self.model_dump(mode="json", exclude={*BOOKKEEPING, *SPEED, *unused, "init"})
        return params if self.init == InitConfig() else {**params, "init": self.init.fingerprint_params()}

    @property
    def block_form(self) -> BlockForm:
        """How blocks are run in training."""
        every = {"none": 0, "every_k": self.activation_checkpointing_k or 0, "all": 1}[self.activation_checkpointing]
        return BlockForm(recompute_every=every, is_compiled=self.compile)

    @property
    def guide_step(self) -> int | None:
        """The number of optimizer steps after which the guide is kept."""
        return None if self.guide_at is None else max(1, round(self.guide_at * self.steps))


BOOKKEEPING = frozenset({"validation_clips", "validation_every", "log_every", "checkpoint_every", "keep_checkpoints"})
SPEED = frozenset({"device", "micro_batch", "activation_checkpointing", "activation_checkpointing_k", "compile"})
