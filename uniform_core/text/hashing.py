"""A text encoder without weights: every word is a fixed vector of signs drawn from its hash.

Axes: L tokens, D width.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from uniform_core.lazy import lazy, lazy_name
from uniform_core.text.base import TextEncoder, TextEncoderConfig, TextFeatures
from uniform_core.types import Count

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")

VERSION = 1
_WORD = re.compile(r"\w+")
_END = " end"  # no word contains a space, so no word has this vector


def words_of(text: str) -> list[str]:
    """The words of a text in order: compatibility-normalised, case-folded, without punctuation.

    >>> words_of("A large RED ball, bouncing!")
    ['a', 'large', 'red', 'ball', 'bouncing']
    """
    # Twice: case folding can undo the normal form (U+0345), and equal texts must have equal words.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _WORD.findall(folded)


@lru_cache(maxsize=65_536)
def _signs(word: str, width: int) -> np.ndarray:
    """A vector of -1 and +1 that depends on the word alone: two words are orthogonal up to 1/sqrt(width)."""
    # surrogatepass: a broken file name may come in as a caption, and must not stop the run.
    bits = hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest((width + 7) // 8)
    signs: np.ndarray = np.unpackbits(np.frombuffer(bits, np.uint8))[:width].astype(np.float32) * 2 - 1
    signs.flags.writeable = False
    return signs


class HashingTextEncoder(TextEncoder):
    """One token a word, and an end token; the order of the words is only the order of the tokens."""

    def __init__(self, width: int, max_tokens: int) -> None:
        self._width, self._max_tokens = width, max_tokens

    def encode(self, texts: Sequence[str]) -> list[TextFeatures]:
        return [self._encode_one(text) for text in texts]

    def _encode_one(self, text: str) -> TextFeatures:
        words = words_of(text)
        kept = words[: self._max_tokens - 1]
        return TextFeatures(self._features([*kept, _END]), is_truncated=len(kept) < len(words))

    def _features(self, tokens: Sequence[str]) -> Float[Tensor, "L D"]:
        return torch.from_numpy(np.stack([_signs(token, self._width) for token in tokens]))


class HashingTextConfig(TextEncoderConfig):
    """The offline encoder: enough for a closed vocabulary, no notion of meaning."""

    kind: Literal["hashing"] = "hashing"
    dimensions: Count = 64
    token_limit: Count = 16  # the end token included

    @property
    def width(self) -> int:
        return self.dimensions

    @property
    def max_tokens(self) -> int:
        return self.token_limit

    @property
    def counter_name(self) -> str:
        return f"{self.kind}-{VERSION}"

    def token_counter(self) -> Callable[[str], int]:
        return lambda text: len(words_of(text)) + 1

    def fingerprint_params(self) -> dict[str, Any]:
        return {**super().fingerprint_params(), "version": VERSION}

    def build(self) -> HashingTextEncoder:
        return HashingTextEncoder(self.dimensions, self.token_limit)
