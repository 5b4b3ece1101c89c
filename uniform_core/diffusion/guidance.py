"""Guidance: what the network says with a condition, driven away from what it says without.

Axes: B batch. A model is anything with the three methods of `JointModel`: this family knows no particular one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import Field, model_serializer, model_validator

from uniform_core.diffusion.base import Denoiser, Objective, Tensors
from uniform_core.lazy import lazy, lazy_name
from uniform_core.spec import LatentLayout
from uniform_core.types import Fraction, Frozen, Modality, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


AnyText = TypeVar("AnyText")  # not typing.Self, which the tests' type checker of shapes does not know in methods


@runtime_checkable
class TextLike(Protocol):
    """A batch of encoded texts."""

    def __len__(self) -> int: ...
    def repeated(self: AnyText, batch: int) -> AnyText: ...
    def followed_by(self: AnyText, other: AnyText) -> AnyText: ...


TextT = TypeVar("TextT", bound=TextLike)
TextT_contra = TypeVar("TextT_contra", bound=TextLike, contravariant=True)
LatentT_co = TypeVar("LatentT_co", covariant=True)
ConditionsT = TypeVar("ConditionsT")
TwoAnswers = Callable[[Tensors, Tensor], tuple[Tensors, Tensors]]  # (latents, t_B) → what is said with text, without


@runtime_checkable
class JointModel(Protocol[TextT_contra, ConditionsT, LatentT_co]):
    """A network over both modalities: a constant half, and a half a step."""

    layout: LatentLayout

    def prepare(self, task: Task, text: TextT_contra, video_rate_hz: float) -> ConditionsT: ...
    def latent(self, tensors: Tensors) -> LatentT_co: ...
    def __call__(self, noisy: Tensors, t_B: Tensor, conditions: ConditionsT) -> Tensors: ...


class GuideScale(Frozen):
    """A scale of guidance for each modality; 1 guides not at all."""

    video: float = Field(default=1.0, ge=0)
    audio: float = Field(default=1.0, ge=0)

    def of(self, modality: Modality) -> float:
        """That of a modality."""
        return self.video if modality is Modality.VIDEO else self.audio


class GuidanceConfig(Frozen):
    """A scale of 1 guides not at all; the paper guides by text with 5 (§4.1.2), and by the given modality not.

    `guide_scale` drives away from what the model said early in its training; tasks that are given a sound or a picture
    may have a `guide_scale_given` of their own. `interval` says where on the way from clean (0) to noise (1) guidance
    acts; elsewhere one forward pass is made. `passes` says whether text guidance asks for both its halves in one pass
    of twice the batch, or one after the other, in half the memory; it changes rounding alone, so no fingerprint.

    Source: Karras et al. 2024, Guiding a Diffusion Model with a Bad Version of Itself (`guide_scale`).
    """

    text_scale: float = Field(default=1.0, ge=0)
    modality_scale: float = Field(default=1.0, ge=0)
    guide_scale: GuideScale = GuideScale()
    guide_scale_given: GuideScale | None = None
    interval: tuple[Fraction, Fraction] = (0.0, 1.0)
    passes: Literal["batched", "split"] = "batched"

    def by_guide(self, task: Task) -> dict[Modality, float]:
        """The modalities that a task makes and that the guide acts on, each with its scale."""
        own = None if task.given is None else self.guide_scale_given
        scales = self.guide_scale if own is None else own
        return {modality: scales.of(modality) for modality in task.made if scales.of(modality) != 1}

    def without_guide(self) -> GuidanceConfig:
        """The same, for a model that has no guide."""
        return self.model_copy(update={"guide_scale": GuideScale(), "guide_scale_given": None})

    @model_validator(mode="after")
    def _ordered(self) -> GuidanceConfig:
        if self.interval[0] > self.interval[1]:
            raise ValueError(f"interval {self.interval} must go from the cleaner to the noisier end")
        return self

    @model_serializer(mode="wrap")
    def _without_plain_passes(self, serialise: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Configs that say nothing of `passes` are written, and hashed, as before there was this word."""
        values = serialise(self)
        if self.passes == "batched":
            values.pop("passes", None)
        return values


def guided_denoiser(
    model: JointModel[TextT, ConditionsT, object],
    *,
    task: Task,
    text: TextT | None,
    null_text: TextT,
    batch: int,
    video_rate_hz: float,
    guidance: GuidanceConfig,
    objective: Objective,
    given_noise: Tensor | None,
    guide: JointModel[TextT, ConditionsT, object] | None = None,
) -> Denoiser:
    """The guided network of one batch: (latents, t) → outputs.

    Text: said(∅) + s·(said(c) − said(∅)), in one forward pass of 2B or two of B; without text one of B, since there is
    nothing to guide by. Given modality: + (s − 1)·(said as its task − said as T2AV with that modality noised by
    `given_noise`), which needs no further training. Guide: + (s − 1)·(said − said by the guide under the same
    conditions), of the modalities whose scale is not 1. The variance is always the conditional one's.
    """
    by_guide = guidance.by_guide(task)
    empty = null_text.repeated(batch)
    heard = empty if text is None else text

    def once(asked: JointModel[TextT, ConditionsT, object], of: Task, read: TextT) -> Callable[[], ConditionsT]:
        """Conditions that are prepared by the first step that reads them: guided and plain steps read others."""
        return cache(lambda: asked.prepare(of, read, video_rate_hz))

    plain = once(model, task, heard)
    early = None if guide is None or not by_guide else once(guide, task, heard)
    both = None
    if text is not None and guidance.text_scale != 1 and guidance.passes == "batched":
        both = _in_one_pass(model, once(model, task, text.followed_by(empty)))
    elif text is not None and guidance.text_scale != 1:
        both = _in_two_passes(model, plain, without=once(model, task, empty))
    is_blind_asked = task.given is not None and guidance.modality_scale != 1
    blind = once(model, Task.T2AV, heard) if is_blind_asked else None

    def denoise(latents: Tensors, t_B: Tensor) -> Tensors:
        is_guided = guidance.interval[0] <= float(t_B[0]) / objective.time_of_noise <= guidance.interval[1]
        if both is None or not is_guided:
            said = model(latents, t_B, plain())
            outputs = {m: said[m] for m in task.made}
        else:
            said, unprompted = both(latents, t_B)
            outputs = {m: extrapolated(said[m], unprompted[m], scale=guidance.text_scale) for m in task.made}
        if guide is not None and early is not None and is_guided:
            weaker = guide(latents, t_B, early())
            for m, scale in by_guide.items():
                outputs[m] = outputs[m] + extrapolated(said[m], weaker[m], scale=scale) - said[m]
        if blind is None or task.given is None or given_noise is None or not is_guided:
            return outputs
        hidden = objective.noised(latents[task.given], noise=given_noise, t_B=t_B)
        unseeing = model({**latents, task.given: hidden}, t_B, blind())
        return {
            m: outputs[m] + extrapolated(said[m], unseeing[m], scale=guidance.modality_scale) - said[m] for m in outputs
        }

    return denoise


def _in_one_pass(model: JointModel[TextT, ConditionsT, object], pair: Callable[[], ConditionsT]) -> TwoAnswers:
    """What is said with the text and without it, of conditions of twice the batch."""

    def both(latents: Tensors, t_B: Tensor) -> tuple[Tensors, Tensors]:
        twice = {m: torch.cat([z, z]) for m, z in latents.items()}
        halves = {m: said.chunk(2) for m, said in model(twice, torch.cat([t_B, t_B]), pair()).items()}
        return {m: half[0] for m, half in halves.items()}, {m: half[1] for m, half in halves.items()}

    return both


def _in_two_passes(
    model: JointModel[TextT, ConditionsT, object],
    conditions: Callable[[], ConditionsT],
    *,
    without: Callable[[], ConditionsT],
) -> TwoAnswers:
    """The same, one pass after the other."""
    return lambda latents, t_B: (model(latents, t_B, conditions()), model(latents, t_B, without()))


def extrapolated(conditional: Tensor, unconditional: Tensor, *, scale: float) -> Tensor:
    """u + s·(c − u) on the half that says noise or velocity; the variance half of the conditional output as it is."""
    said, variance = conditional.chunk(2, dim=1)
    return torch.cat([torch.lerp(unconditional.chunk(2, dim=1)[0], said, scale), variance], dim=1)


def made_shapes(layout: LatentLayout, batch: int) -> dict[Modality, tuple[int, ...]]:
    """The shapes of a batch of latents."""
    return {Modality.VIDEO: (batch, *layout.video_CTHW), Modality.AUDIO: (batch, *layout.audio_CTF)}
