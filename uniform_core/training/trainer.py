"""One optimizer step after another: loss, mean of gradients over ranks, AdamW, moving average.

Axes: B batch. A step is a pure function of (state, seed, step): nothing here holds a random state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from uniform_core.diffusion import Objective, ObjectiveConfig, TrainingLoss
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.model import Ema, JointLatent, TextBatch, UniForm, drop_text
from uniform_core.training.checkpoint import Checkpoint
from uniform_core.training.config import TrainConfig
from uniform_core.training.distributed import Place, add_over_ranks, current_place, sum_over_ranks
from uniform_core.training.draws import Draws, draw_training, draw_validation
from uniform_core.training.forms import forms_of, joined, require_forms
from uniform_core.training.optimizer import VectorAdamW
from uniform_core.training.samples import Batch
from uniform_core.training.scaling import LatentScale
from uniform_core.training.schedule import learning_rate
from uniform_core.types import Modality, Task


@dataclass(frozen=True)
class StepReport:
    """What one optimizer step did: `losses` by modality, `terms` by name, means over the global batch of all ranks."""

    step: int
    task: Task
    loss: float
    losses: Mapping[Modality, float]
    terms: Mapping[str, float]
    grad_norm: float  # before clipping
    lr: float
    clips: int


class Trainer:
    """A model in training. Every rank holds one, with the same state after every step."""

    def __init__(
        self,
        config: TrainConfig,
        model: UniForm,
        objective: ObjectiveConfig,
        *,
        scale: LatentScale,
        null_text: TextBatch,
        video_rate_hz: float,
        fingerprint: str,
    ) -> None:
        self.config, self.model, self.scale, self.fingerprint = config, model.train(), scale, fingerprint
        self.objective_config = objective
        self.place: Place = current_place()
        self.ema = Ema(model, decay=config.ema_decay)
        self.step = 0  # optimizer steps done
        self.guide: dict[str, Tensor] = {}  # the moving average as of `guide_step`, on the CPU; empty before
        model.block_form = config.block_form
        self._objective: Objective = objective.build()
        self._optimizer = VectorAdamW(config, model)
        self._device = next(model.parameters()).device
        self._null_text = null_text
        self._video_rate_hz = video_rate_hz

    def train_step(self, batch: Batch) -> StepReport:
        """One optimizer step on every rank's share of the batch of step `self.step`.

        Raises WorkFailedError where the loss or the gradient is not finite; the weights are then as before the step.
        """
        if batch.step != self.step:
            raise ConfigError(
                "training batch", expected=f"that of step {self.step}", found=f"step {batch.step}", fix=ASK
            )
        lr = learning_rate(self.config, self.step)
        self._optimizer.zero_grad()
        numbers = self._accumulate(batch)
        gradient_N, loss, losses, terms, norm = self._reduce(numbers, batch)
        self._optimizer.step(gradient_N, lr=lr)
        self.ema.update(self.model)
        self.step += 1
        if self.step == self.config.guide_step:
            self.guide = {name: value.to("cpu", copy=True) for name, value in self.averaged_weights().items()}
        return StepReport(batch.step, batch.task, loss, losses, terms, norm, lr, self.config.batch)

    @torch.no_grad()
    def validation_loss(self, batches: Iterable[Batch], *, averaged: bool = True) -> dict[Modality, float]:
        """The loss of fixed clips with fixed times, noise and dropped texts, by modality, over all ranks.

        Text is dropped as often as in training, so that this is the loss that training lowers, on other clips.

        `batches` are this rank's share of one task's `fixed_batches`; `averaged` uses the moving average of weights.
        """
        sums, clips = ({modality: torch.zeros((), dtype=torch.float64) for modality in Modality} for _ in range(2))
        with self.ema.applied(self.model) if averaged else nullcontext():
            for batch in batches:
                for modality, loss in self.fixed_loss(batch).by_modality.items():
                    sums[modality] += loss.double().cpu() * len(batch)
                    clips[modality] += len(batch)
        totals = sum_over_ranks([*sums.values(), *clips.values()], self.place)
        means = zip(Modality, totals, totals[len(sums) :], strict=False)
        return {modality: float(total / count) for modality, total, count in means if count}

    @torch.no_grad()
    def fixed_loss(self, batch: Batch) -> TrainingLoss:
        """The loss of a batch with times, noise and dropped texts that are the same every time, under its weights."""
        text_drop = self.config.text_drop_of(batch.task)
        draws = draw_validation(batch.positions, seed=self.config.seed, like=batch.raw, text_drop=text_drop)
        return self._loss(batch, draws)

    def checkpoint(self, *, extra: Mapping[str, Any]) -> Checkpoint:
        """The whole state, as tensors that later steps alter: save it before the next one."""
        return Checkpoint(
            step=self.step,
            fingerprint=self.fingerprint,
            model=self.model.state_dict(),
            ema=self.ema.state_dict(),
            optimizer=self._optimizer.tensors(),
            extra=extra,
            guide=self.guide,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this run.

        Raises ConfigError where a tensor is missing, too much, or of another shape or dtype; nothing is then changed.
        """
        expected = {
            "model": forms_of(self.model.state_dict()),
            "ema": forms_of(self.ema.state_dict()),
            "optimizer": self._optimizer.forms() if checkpoint.step else {},
        }
        guide_step = self.config.guide_step
        if guide_step is not None and checkpoint.step >= guide_step:
            expected["guide"] = forms_of(self.averaged_weights())
        found = {part: forms_of(getattr(checkpoint, part)) for part in expected}
        require_forms(f"checkpoint of step {checkpoint.step}", joined(expected), found=joined(found))
        self.model.load_state_dict(checkpoint.model, strict=True)
        self.ema.load_state_dict(checkpoint.ema)
        self._optimizer.load(checkpoint.optimizer)
        self.step = checkpoint.step
        self.guide = dict(checkpoint.guide)

    def averaged_weights(self) -> dict[str, Tensor]:
        """The state dict to export: averages, and the model's own buffers."""
        averages = self.ema.state_dict()
        return {name: averages.get(name, value) for name, value in self.model.state_dict().items()}

    def _accumulate(self, batch: Batch) -> dict[str, Tensor]:
        """This rank's share of the loss and its gradient, as sums over clips divided by the global batch."""
        size = self.config.micro_batch or len(batch)
        numbers: dict[str, Tensor] = {}
        for start in range(0, len(batch), size):
            part = batch.part(start, min(start + size, len(batch)))
            weight = len(part) / self.config.batch
            loss = self._loss(part, self._draws(part))
            (loss.total * weight).backward()  # type: ignore[no-untyped-call]
            parts = {"loss": loss.total.detach(), **{m.value: value for m, value in loss.by_modality.items()}}
            for name, value in (parts | dict(loss.terms)).items():
                numbers[name] = numbers.get(name, torch.zeros_like(value)) + value * weight
        return numbers

    def _draws(self, part: Batch) -> Draws:
        config = self.config
        return draw_training(
            part.positions,
            step=part.step,
            seed=config.seed,
            batch=config.batch,
            like=part.raw,
            text_drop=config.text_drop_of(part.task),
        )

    def _reduce(
        self, numbers: Mapping[str, Tensor], batch: Batch
    ) -> tuple[Tensor, float, dict[Modality, float], dict[str, float], float]:
        """The clipped gradient [N], loss, losses, terms and the gradient's norm before, over all ranks."""
        gradient_N = self._optimizer.gradient_N()
        add_over_ranks(gradient_N, self.place)
        sums = sum_over_ranks(list(numbers.values()), self.place)
        values = dict(zip(numbers, (float(value) for value in sums), strict=True))
        norm = float(torch.linalg.vector_norm(gradient_N))
        if norm > self.config.grad_clip:
            gradient_N.mul_(self.config.grad_clip / norm)
        found = {"loss": values["loss"], "gradient norm": norm}
        for name, value in found.items():
            if not torch.isfinite(torch.tensor(value)):
                raise WorkFailedError(
                    f"training step {batch.step}, task {batch.task.value}",
                    expected=f"a finite {name}",
                    found=f"{value}; clips here: {', '.join(batch.clip_ids[:4])}…",
                    fix="Look at these clips' latents, lower train.lr, or use precision float32; then resume.",
                )
        losses = {m: values.pop(m.value) for m in self.config.learned(batch.task)}
        loss = values.pop("loss")
        return gradient_N, loss, losses, values, norm

    def _loss(self, batch: Batch, draws: Draws) -> TrainingLoss:
        clean = to_model_latent(batch.raw, self.scale, self._device)
        keep_B = draws.keep_text_B & torch.tensor(batch.has_text)
        null = self.model.null_for(batch.text, self._null_text)
        text = heard_text(batch.text, null, keep_B=keep_B, device=self._device)
        with self._autocast():
            conditions = self.model.prepare(batch.task, text, self._video_rate_hz)
            return self._objective.loss_at(
                lambda latents, t_B: self.model(latents, t_B, conditions),
                clean,
                task=batch.task,
                t_B=self._objective.times_of(draws.uniform_B, task=batch.task).to(self._device),
                noise={m: noise.to(self._device) for m, noise in draws.noise.items()},
                learned=self.config.learned(batch.task),
            )

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)


ASK = "Ask BatchSource.batch_at for the trainer's own step."


def to_model_latent(raw: JointLatent, scale: LatentScale, device: torch.device) -> JointLatent:
    """Model latents of raw ones, on the model's device."""
    return JointLatent(
        scale.video.to_model(raw.video_BCTHW).to(device), scale.audio.to_model(raw.audio_BCTF).to(device)
    )


TRIM_MULTIPLE = 8  # attention with a mask is aligned to so many keys; fewer lengths are also compiled less often


def heard_text(text: TextBatch, null: TextBatch, *, keep_B: Bool[Tensor, "B"], device: torch.device) -> TextBatch:
    """The texts that clips are trained with, on the device, without padding that no clip of theirs needs.

    A CPU gets them as they were padded: it gains nothing there, and the tiny preset's numbers hang on the rounding.
    """
    kept = drop_text(text, null, keep_B=keep_B)
    return _moved(kept if device.type == "cpu" else kept.trimmed(TRIM_MULTIPLE), device)


def _moved(text: TextBatch, device: torch.device) -> TextBatch:
    return TextBatch(text.features_BLD.to(device), text.mask_BL.to(device))
