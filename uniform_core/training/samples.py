"""Batches of training samples: a pure function of seed, step, rank and world size.

Axes: B batch, C channels, T time, H height, W width, F latent mel bins, L text tokens, D text width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.model import JointLatent, TextBatch
from uniform_core.training.config import TrainConfig
from uniform_core.training.distributed import Place
from uniform_core.training.index import Sample, TrainIndex
from uniform_core.training.order import EpochOrder
from uniform_core.training.schedule import task_of_step
from uniform_core.training.tensors import BoundedCache, TensorCache
from uniform_core.types import Task, TensorRef

FIT_BATCH = 256  # clips at once when statistics are fitted; the result does not depend on it


@dataclass(frozen=True, eq=False)
class Batch:
    """One rank's share of one step. `positions` are places in the whole run: they name the noise of each clip."""

    step: int
    task: Task
    positions: tuple[int, ...]
    clip_ids: tuple[str, ...]
    raw: JointLatent  # raw latents, float32
    text: TextBatch  # every clip's own text, the encoding of "" where it has none; the trainer drops it
    has_text: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def part(self, start: int, stop: int) -> Batch:
        """Clips `start` to `stop` of this share."""
        return Batch(
            step=self.step,
            task=self.task,
            positions=self.positions[start:stop],
            clip_ids=self.clip_ids[start:stop],
            raw=JointLatent(self.raw.video_BCTHW[start:stop], self.raw.audio_BCTF[start:stop]),
            text=TextBatch(self.text.features_BLD[start:stop], self.text.mask_BL[start:stop]),
            has_text=self.has_text[start:stop],
        )


class BatchSource:
    """Batches of an index. `null_LD` is the encoding of "", for clips that have no text.

    `encoded` gives the features of captions that an index has as words; without it every caption's must be stored.
    """

    def __init__(
        self,
        config: TrainConfig,
        index: TrainIndex,
        tensors: TensorCache,
        *,
        null_LD: Tensor,
        encoded: BoundedCache[str] | None = None,
    ) -> None:
        self._config, self._index, self._tensors, self._null_LD = config, index, tensors, null_LD
        self._encoded = encoded
        self._order = EpochOrder(config.seed, samples=len(index))

    def __len__(self) -> int:
        """Samples in an epoch."""
        return len(self._index)

    def batch_at(self, step: int, place: Place = Place()) -> Batch:  # noqa: B008  (frozen)
        """The share of one rank in optimizer step `step` (from 0): no state, no replay, the same on every call.

        Raises ConfigError where there are more ranks than clips in a batch.
        """
        if place.world > self._config.batch:
            raise ConfigError(
                "train.batch",
                expected=f"at least one clip for each of {place.world} ranks",
                found=str(self._config.batch),
                fix="Raise train.batch or use fewer workers.",
            )
        positions = tuple(
            self._order.batch_positions(step, batch=self._config.batch, rank=place.rank, world=place.world)
        )
        samples = [self._index.samples[self._order.sample_at(position)] for position in positions]
        return self._batch(samples, positions, step=step, task=task_of_step(self._config, step))

    def fixed_batches(self, task: Task, *, clips: int, place: Place = Place()) -> Iterator[Batch]:  # noqa: B008
        """One rank's share of up to `clips` clips, the same every time, in batches of its share of a step's size.

        Step is -1 and positions are places in a permutation of the index: noise derived from them is always the same.
        """
        count = min(clips, len(self._index))
        share = range(place.rank, count, place.world)
        size = max(1, self._config.batch // place.world)
        for start in range(0, len(share), size):
            positions = tuple(share[start : start + size])
            samples = [self._index.samples[self._order.sample_at(position)] for position in positions]
            yield self._batch(samples, positions, step=-1, task=task)

    def raw_latents(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every clip's raw (video, audio) once, in batches, in the order of the index."""
        for start in range(0, len(self._index), FIT_BATCH):
            raw = self._raw(self._index.samples[start : start + FIT_BATCH])
            yield raw.video_BCTHW, raw.audio_BCTF

    def _batch(self, samples: Sequence[Sample], positions: tuple[int, ...], *, step: int, task: Task) -> Batch:
        return Batch(
            step=step,
            task=task,
            positions=positions,
            clip_ids=tuple(sample.clip_id for sample in samples),
            raw=self._raw(samples),
            text=padded_texts([self._text(sample) for sample in samples]),
            has_text=tuple(sample.text is not None for sample in samples),
        )

    def _text(self, sample: Sample) -> Float[Tensor, "L D"]:
        """The features of a sample's caption, or of no text."""
        if sample.text is None:
            return self._null_LD
        if isinstance(sample.text, TensorRef):
            return self._tensors.read(sample.text)
        if self._encoded is None:
            raise WorkFailedError(
                f"training, clip {sample.clip_id}",
                expected="stored features of its caption",
                found="none",
                fix="Run `uniform text` first.",
            )
        return self._encoded.read(sample.text)

    def _raw(self, samples: Sequence[Sample]) -> JointLatent:
        return JointLatent(
            torch.stack([self._tensors.read(sample.video).to(torch.float32) for sample in samples]),
            torch.stack([self._tensors.read(sample.audio).to(torch.float32) for sample in samples]),
        )


def padded_texts(texts_LD: Sequence[Tensor]) -> TextBatch:
    """Ragged features [L, D] as one batch, zeros behind the real tokens, float32."""
    features_BLD = torch.nn.utils.rnn.pad_sequence([text.to(torch.float32) for text in texts_LD], batch_first=True)
    lengths_B = torch.tensor([len(text) for text in texts_LD])
    return TextBatch(features_BLD, torch.arange(features_BLD.shape[1])[None] < lengths_B[:, None])
