"""Features of captions computed as training meets them, for corpora whose stored ones would fill a disk."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from uniform_core.text import TextEncoder
from uniform_core.training.tensors import BoundedCache

LIMIT_BYTES: Final = 2 << 30  # of one rank: FLAN-T5-XXL's features of some 1,300 captions


def online_texts(encoder: TextEncoder, *, limit_bytes: int = LIMIT_BYTES) -> BoundedCache[str]:
    """The features of any text, in the encoder's precision, kept while there is room.

    Each text is encoded alone, so that its bits depend on no other text and on no cache: a training that was killed and
    goes on ends as one that was not. (By arithmetic FLAN-T5-XXL takes some 5 ms a text of 190 tokens so on an H100, of
    which a batch would save half: a twentieth of a training step.)
    """

    def encoded(text: str) -> Tensor:
        (features,) = encoder.encode([text])
        return features.features_LD

    return BoundedCache(encoded, limit_bytes=limit_bytes)
