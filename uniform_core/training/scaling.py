"""Raw latent ⇄ model latent: shift and divisor of each modality, fitted in float64, exact to take back.

Axes: B clips, C channels, T time, H height, W width, F latent mel bins. Statistics have size 1 where they are shared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from uniform_core.errors import CatalogError, WorkFailedError
from uniform_core.training.config import ModalityScaling, ScalingConfig


class StreamingMoments:
    """Count, mean and variance of latents that arrive batch by batch, float64, whatever the batches' sizes.

    `shared_axes` are pooled besides the first (clips). Batches are merged by the pairwise rule of Chan et al. (1979).
    """

    def __init__(self, shared_axes: tuple[int, ...]) -> None:
        self.shared_axes = (0, *shared_axes)
        self.count = 0
        self.mean = torch.zeros((), dtype=torch.float64)
        self._squares = torch.zeros((), dtype=torch.float64)

    def update(self, batch: Tensor) -> None:
        """Take in one batch [B, …]."""
        values = batch.to(torch.float64)
        count = math.prod(values.shape[axis] for axis in self.shared_axes)
        mean = values.mean(dim=self.shared_axes, keepdim=True)[0]
        squares = (values - mean).square().sum(dim=self.shared_axes, keepdim=True)[0]
        total = self.count + count
        difference = mean - self.mean
        self.mean = self.mean + difference * (count / total)
        self._squares = self._squares + squares + difference.square() * (self.count * count / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        """Population variance (ddof 0); the axes that are shared have size 1."""
        return self._squares / max(1, self.count)


@dataclass(frozen=True)
class ModalityScale:
    """model = (raw - shift) / divisor; both float64, broadcast over a batch of latents."""

    shift: Tensor
    divisor: Tensor

    def to_model(self, raw: Tensor) -> Tensor:
        """Model latent of a raw latent, in the raw latent's precision."""
        shift, divisor = self.shift.to(raw.device), self.divisor.to(raw.device)
        return ((raw.to(torch.float64) - shift) / divisor).to(raw.dtype)

    def to_raw(self, model: Tensor) -> Tensor:
        """Raw latent of a model latent, in the model latent's precision."""
        shift, divisor = self.shift.to(model.device), self.divisor.to(model.device)
        return (model.to(torch.float64) * divisor + shift).to(model.dtype)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` turns back into the same bits (Python's floats round-trip)."""
        shape = list(self.shift.shape)
        return {"shape": shape, "shift": self.shift.flatten().tolist(), "divisor": self.divisor.flatten().tolist()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModalityScale:
        """The scale that was saved. Raises CatalogError where it is not one."""
        try:
            shape = tuple(value["shape"])
            shift = torch.tensor(value["shift"], dtype=torch.float64).reshape(shape)
            divisor = torch.tensor(value["divisor"], dtype=torch.float64).reshape(shape)
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise CatalogError(
                "latent scale", expected="shape, shift and divisor", found=repr(error), fix="Export the model again."
            ) from error
        if not bool((divisor > 0).all()):
            found = f"least {divisor.min().item()}"
            raise CatalogError("latent scale", expected="divisors > 0", found=found, fix="Export the model again.")
        return cls(shift, divisor)


@dataclass(frozen=True)
class LatentScale:
    """The scales of both modalities."""

    video: ModalityScale
    audio: ModalityScale

    def to_json(self) -> dict[str, Any]:
        return {"video": self.video.to_json(), "audio": self.audio.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LatentScale:
        """The scales that were saved. Raises CatalogError where they are not there."""
        parts = {name: ModalityScale.from_json(value.get(name, {})) for name in ("video", "audio")}
        return cls(**parts)


def fit_latent_scale(config: ScalingConfig, batches: Iterable[tuple[Tensor, Tensor]]) -> LatentScale:
    """The scale of raw training latents, seen once in batches of (video [B, C, T, H, W], audio [B, C, T, F]).

    The batches' sizes and order do not matter. Where both modalities stay as they are, the first batch is all that is
    read: the paper's 290,000 clips are 110 GB.

    Raises WorkFailedError where there is no latent at all.
    """
    video = StreamingMoments((2,) if config.video.over == "position" else (2, 3, 4))
    audio = StreamingMoments((2,) if config.audio.over == "position" else (2, 3))
    is_fixed = config.video.over == config.audio.over == "identity"
    seen = 0
    for video_BCTHW, audio_BCTF in batches:
        seen += len(video_BCTHW)
        if is_fixed:
            break
        video.update(video_BCTHW)
        audio.update(audio_BCTF)
    if not seen:
        raise WorkFailedError(
            "latent scale", expected="at least one training latent", found="none", fix="Encode clips before training."
        )
    return LatentScale(_scale_of(config.video, video, rank=4), _scale_of(config.audio, audio, rank=3))


def _scale_of(config: ModalityScaling, moments: StreamingMoments, *, rank: int) -> ModalityScale:
    if config.over == "identity":
        one = torch.ones((1,) * rank, dtype=torch.float64)
        return ModalityScale(shift=torch.zeros_like(one), divisor=one)
    deviation = moments.variance.sqrt()
    level = deviation.square().mean().sqrt()
    if level.item() == 0.0:  # every latent is the same: nothing to learn, and nothing to divide by
        return ModalityScale(shift=moments.mean, divisor=torch.ones_like(deviation))
    softened = deviation.clamp(min=level * max(config.floor, 1e-12)) ** config.power
    common = (deviation / softened).square().mean().sqrt()
    return ModalityScale(shift=moments.mean, divisor=softened * common)
