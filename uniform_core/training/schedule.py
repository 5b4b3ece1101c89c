"""Learning rate and task as functions of the step alone, so that a run can begin again anywhere."""

from __future__ import annotations

import math

from uniform_core.seeds import numpy_rng
from uniform_core.training.config import TrainConfig
from uniform_core.types import Task


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of optimizer step `step` (from 0): warm-up lr x (k + 1) / (warmup + 1), then the decay.

    >>> config = TrainConfig(steps=10, warmup_steps=3, lr=1.0, lr_decay="linear")
    >>> [round(learning_rate(config, k), 3) for k in (0, 2, 3, 9, 10)]
    [0.25, 0.75, 1.0, 0.143, 0.0]
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / (config.warmup_steps + 1)
    if config.lr_decay == "constant":
        return config.lr
    progress = min(1.0, (step - config.warmup_steps) / (config.steps - config.warmup_steps))
    shape = 1.0 - progress if config.lr_decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return config.lr * (config.lr_final + (1.0 - config.lr_final) * shape)


def task_of_step(config: TrainConfig, step: int) -> Task:
    """The task that every rank trains in this step. Paper Fig. 2: one task per iteration."""
    draw = float(numpy_rng("task", config.seed, step).random())
    probabilities = config.task_weights.probabilities()
    cumulative = 0.0
    for task, probability in probabilities.items():
        cumulative += probability
        if draw < cumulative:
            return task
    return max(probabilities, key=lambda task: probabilities[task])  # draw fell into the rounding gap below 1
