"""A few clips learned by heart: the test that a model, its objective and its training are wired right.

Noise and times are fresh in every step, so that no noise can be learned: only who knows these very clips can tell them
from noise. The error is a mean over fixed noise and times that no step has seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from uniform_core.progress import Listener, ProgressEvent, silent
from uniform_core.training.config import TaskWeights, TrainConfig
from uniform_core.training.fit import fit
from uniform_core.training.samples import Batch, BatchSource
from uniform_core.training.trainer import Trainer
from uniform_core.types import Modality, Task

STAGE = "overfit"
# Of the error before the first step. Measured (docs/experiments.md): what learns comes to .006 to .043 in 800 steps;
# what does not see its noisy input stays above .5.
NEAR_ZERO = 0.05
DRAWS = 64  # of noise and time, that an error is a mean over; all clips have equally many


@dataclass(frozen=True)
class Learned:
    """The error of one modality in one task, before the first step and after the last.

    It is the term `mse` of the loss: others, such as the variational bound, have no zero to come near.
    """

    task: Task
    modality: Modality
    first: float
    last: float

    @property
    def ratio(self) -> float:
        return self.last / self.first

    @property
    def is_near_zero(self) -> bool:
        return self.ratio <= NEAR_ZERO


def overfit_config(config: TrainConfig, *, steps: int, clips: int) -> TrainConfig:
    """The run's training on so few clips: its rate and optimizer, a short warm-up, every text kept, tasks in turn.

    The rate falls to nothing, so that the last step's noise is not what is measured.
    """
    weights = {task.value: 1.0 for task, share in config.task_weights.probabilities().items() if share > 0}
    update = {
        "steps": steps,
        "batch": max(config.batch, clips),  # more noise a step than one draw a clip
        "warmup_steps": steps // 20,
        "lr_decay": "cosine",
        "lr_final": 0.0,
        "text_drop": 0.0,
        "text_drop_given": 0.0,
        "task_weights": TaskWeights.model_validate(dict.fromkeys(TaskWeights.model_fields, 0.0) | weights),
        "validation_clips": 0,
    }
    return TrainConfig.model_validate(config.model_dump() | update)


def overfit(trainer: Trainer, source: BatchSource, *, listener: Listener = silent) -> tuple[Learned, ...]:
    """What became of each modality of each task that is trained. `source` has the few clips and nothing else.

    Raises WorkFailedError where a number is not finite.
    """
    first = _errors(trainer, source)
    fit(trainer, source, listener=lambda event: listener(_renamed(event)))
    last = _errors(trainer, source)
    return tuple(Learned(task, modality, error, last[task, modality]) for (task, modality), error in first.items())


def _renamed(event: ProgressEvent) -> ProgressEvent:
    return replace(event, stage=STAGE)


def _errors(trainer: Trainer, source: BatchSource) -> dict[tuple[Task, Modality], float]:
    """The mean error of each modality that a task makes."""
    probabilities = trainer.config.task_weights.probabilities()
    errors = {}
    for task in (task for task in Task if probabilities[task] > 0):
        parts = [(len(batch), trainer.fixed_loss(batch).terms) for batch in _fixed(trainer, source, task)]
        for modality in trainer.config.learned(task):
            total = sum(clips * float(terms[f"{modality}_mse"]) for clips, terms in parts)
            errors[task, modality] = total / sum(clips for clips, _ in parts)
    return errors


def _fixed(trainer: Trainer, source: BatchSource, task: Task) -> Iterator[Batch]:
    """Batches of one task with at least DRAWS clips in all, the same every time."""
    for step in range(-(-DRAWS // trainer.config.batch)):
        yield replace(source.batch_at(step), task=task)
