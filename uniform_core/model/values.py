"""What goes into the model and comes out: joint latents, joint outputs, batches of text.

Axes: B batch, C channels, T time, H height, W width, F mel bins of the audio latent, L text tokens, D text width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from uniform_core.types import Modality


@dataclass(frozen=True, eq=False)
class JointTensors(Mapping[Modality, Tensor]):
    """A tensor of each modality, read by name, or as a mapping by those who are blind to this class (diffusion)."""

    video_BCTHW: Float[Tensor, "B C_v T_v H W"]
    audio_BCTF: Float[Tensor, "B C_a T_a F"]

    def __getitem__(self, modality: Modality) -> Tensor:
        return self.video_BCTHW if modality is Modality.VIDEO else self.audio_BCTF

    def __iter__(self) -> Iterator[Modality]:
        return iter(Modality)

    def __len__(self) -> int:
        return len(Modality)


class JointLatent(JointTensors):
    """Model latents of a batch: raw latents scaled to about unit variance, clean or noisy."""

    @classmethod
    def of(cls, tensors: Mapping[Modality, Tensor]) -> JointLatent:
        """The latents of a mapping that has both modalities."""
        return cls(tensors[Modality.VIDEO], tensors[Modality.AUDIO])


class JointOutput(JointTensors):
    """What the network says, float32: channels [0, C) noise (or velocity), [C, 2C) variance, of each modality."""


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Features of a batch of texts, padded to one length; `mask_BL` is True on real tokens, at least one a row."""

    features_BLD: Float[Tensor, "B L D"]
    mask_BL: Bool[Tensor, "B L"]

    def __len__(self) -> int:
        return int(self.features_BLD.shape[0])

    @property
    def tokens(self) -> int:
        """L, padding included."""
        return int(self.features_BLD.shape[1])

    def padded(self, tokens: int) -> TextBatch:
        """The same texts, padded to at least this length."""
        missing = max(tokens - self.tokens, 0)
        return TextBatch(
            torch.nn.functional.pad(self.features_BLD, (0, 0, 0, missing)),
            torch.nn.functional.pad(self.mask_BL, (0, missing)),
        )

    def trimmed(self, multiple: int = 1) -> TextBatch:
        """The same texts, padded no further than the longest needs, up to a multiple of so many tokens."""
        longest = int(self.mask_BL.any(0).nonzero().max()) + 1
        end = -(-longest // multiple) * multiple
        padded = self.padded(end)
        return TextBatch(padded.features_BLD[:, :end], padded.mask_BL[:, :end])

    def repeated(self, batch: int) -> TextBatch:
        """One text, `batch` times; a batch of that size as it is."""
        return TextBatch(self.features_BLD.expand(batch, -1, -1), self.mask_BL.expand(batch, -1))

    def followed_by(self, other: TextBatch) -> TextBatch:
        """These texts, then the others, in one batch."""
        both = [text.padded(max(self.tokens, other.tokens)) for text in (self, other)]
        return TextBatch(torch.cat([text.features_BLD for text in both]), torch.cat([text.mask_BL for text in both]))


def drop_text(text: TextBatch, null: TextBatch, *, keep_B: Bool[Tensor, "B"]) -> TextBatch:
    """The texts, those that are not kept replaced by the null text with its own length (paper §3.3.4, CFG).

    A dropped row carries nothing of its caption, not even the caption's length.
    """
    tokens = max(text.tokens, null.tokens)
    kept, empty = text.padded(tokens), null.padded(tokens)
    return TextBatch(
        torch.where(keep_B[:, None, None], kept.features_BLD, empty.features_BLD),
        torch.where(keep_B[:, None], kept.mask_BL, empty.mask_BL),
    )
