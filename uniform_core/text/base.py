"""What a text encoder is: texts in, ragged features out. Axes: L tokens, D feature width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uniform_core.families import Member
from uniform_core.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class TextFeatures:
    """The features of one text: only its real tokens, never fewer than one."""

    features_LD: torch.Tensor  # float32 or bfloat16
    is_truncated: bool


class TextEncoder(ABC):
    """A text encoder ready to work. The null text is `""`: it encodes to exactly one token."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[TextFeatures]:
        """Features of each text, in order; they do not depend on the other texts of the call."""


class TextEncoderConfig(Member):
    """Which encoder. `width` is D, `max_tokens` the longest L."""

    @property
    @abstractmethod
    def width(self) -> int: ...

    @property
    @abstractmethod
    def max_tokens(self) -> int: ...

    @property
    def is_light(self) -> bool:
        """Whether it loads at once and may run anywhere; gigabytes of weights are loaded once, in their own process."""
        return True

    @property
    def typical_bytes(self) -> int:
        """Bytes of the features of a text, about: for plans."""
        return 4 * self.width * 10

    @property
    @abstractmethod
    def counter_name(self) -> str:
        """What `token_counter` counts by, beside its numbers in the catalog."""

    @abstractmethod
    def token_counter(self) -> Callable[[str], int]:
        """What counts the tokens of a text as the encoder reads it, the end token included, before any is cut off.

        Raises ConfigError where what that takes is not here.
        """

    @abstractmethod
    def build(self) -> TextEncoder:
        """The encoder, loaded."""
