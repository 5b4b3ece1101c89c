"""The whole of a training: resume, step, validate, save, until the last step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch.distributed as dist

from uniform_core.progress import Listener, ProgressEvent, silent
from uniform_core.training.checkpoint import CheckpointStore
from uniform_core.training.samples import BatchSource
from uniform_core.training.trainer import StepReport, Trainer
from uniform_core.types import Modality, Task


@dataclass(frozen=True)
class ValidationReport:
    """Fixed-noise losses after `step` optimizer steps, by set (`train`, `held_out`), task and modality."""

    step: int
    losses: Mapping[str, Mapping[Task, Mapping[Modality, float]]]

    def numbers(self) -> dict[str, float]:
        """The losses by flat names, such as `held_out.v2a.audio`."""
        return {
            f"{name}.{task.value}.{modality.value}": loss
            for name, by_task in self.losses.items()
            for task, by_modality in by_task.items()
            for modality, loss in by_modality.items()
        }


@dataclass(frozen=True)
class FitSummary:
    """Where a training began and ended in this process; `notes` say what was skipped on resume."""

    first_step: int
    steps: int
    notes: tuple[str, ...]
    last_validation: ValidationReport | None


def fit(
    trainer: Trainer,
    source: BatchSource,
    *,
    held_out: BatchSource | None = None,
    checkpoints: CheckpointStore | None = None,
    on_step: Callable[[StepReport], None] | None = None,
    on_validation: Callable[[ValidationReport], None] | None = None,
    listener: Listener = silent,
) -> FitSummary:
    """Train to the configured number of steps, from the newest whole checkpoint if there is one.

    Every rank calls this; rank 0 alone writes and reports. Killed at any moment and called again, it ends with the
    same bits at the same world size.
    """
    config, place = trainer.config, trainer.place
    notes = resume(trainer, checkpoints)
    first_step, validation = trainer.step, None
    while trainer.step < config.steps:
        report = trainer.train_step(source.batch_at(trainer.step, place))
        is_last = trainer.step == config.steps
        if place.rank == 0 and on_step is not None and (report.step % config.log_every == 0 or is_last):
            on_step(report)
        if config.validation_clips and (trainer.step % config.validation_every == 0 or is_last):
            validation = validate(trainer, source, held_out)
            if place.rank == 0 and on_validation is not None:
                on_validation(validation)
        if checkpoints is not None and (trainer.step % config.checkpoint_every == 0 or is_last):
            save(trainer, checkpoints)
        if place.rank == 0:
            listener(ProgressEvent("train", trainer.step, config.steps, note=f"loss {report.loss:.3f}"))
    return FitSummary(first_step, trainer.step, notes, validation)


def resume(trainer: Trainer, checkpoints: CheckpointStore | None) -> tuple[str, ...]:
    """Notes on checkpoints that were skipped; the trainer stands where the newest whole one does.

    Raises ConfigError where the checkpoints are another run's.
    """
    if checkpoints is None:
        return ()
    found, notes = checkpoints.latest(fingerprint=trainer.fingerprint)
    if found is not None:
        trainer.restore(found)
    return notes


def save(trainer: Trainer, checkpoints: CheckpointStore) -> None:
    """Rank 0 writes the checkpoint; no rank goes on before it is there, so that all resume at the same step."""
    if trainer.place.rank == 0:
        checkpoints.save(trainer.checkpoint(extra={"world": trainer.place.world, "scale": trainer.scale.to_json()}))
    if trainer.place.world > 1:
        dist.barrier()


def validate(trainer: Trainer, source: BatchSource, held_out: BatchSource | None) -> ValidationReport:
    """Losses of the first `validation_clips` clips of each set, the same noise every time, for every task drawn."""
    sets = {"train": source} | ({} if held_out is None else {"held_out": held_out})
    tasks = [task for task, probability in trainer.config.task_weights.probabilities().items() if probability > 0]
    clips = trainer.config.validation_clips
    losses = {
        name: {
            task: trainer.validation_loss(batches.fixed_batches(task, clips=clips, place=trainer.place))
            for task in tasks
        }
        for name, batches in sets.items()
    }
    return ValidationReport(trainer.step, losses)
