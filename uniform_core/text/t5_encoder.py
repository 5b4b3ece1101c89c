"""FLAN-T5 at work: texts to tokens to features of their real tokens.

Axes: B texts of a batch, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor
from transformers import T5EncoderModel

from uniform_core.devices import device_of
from uniform_core.text.base import TextEncoder, TextFeatures
from uniform_core.text.cleaning import MAX_CHARS, clean_caption_twice
from uniform_core.text.t5_weights import load_t5, load_tokenizer
from uniform_core.weights import find_weights

if TYPE_CHECKING:
    from uniform_core.text.flan_t5 import FlanT5Config


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text, its end token last, as many as the encoder takes."""

    ids: tuple[int, ...]
    is_truncated: bool


class FlanT5Encoder(TextEncoder):
    """A loaded encoder. Features are those of the last layer after its norm, on the CPU, in the precision of the model.

    Other texts of a call change a text's features by rounding alone: they are padded on the right, and masked.
    """

    def __init__(self, config: FlanT5Config, *, model: T5EncoderModel, tokenizer: Tokenizer) -> None:
        self._config, self._model, self._tokenizer = config, model, tokenizer
        self._pad, self._end = int(model.config.pad_token_id), int(model.config.eos_token_id)

    @classmethod
    def load(cls, config: FlanT5Config) -> FlanT5Encoder:
        """The encoder of a config. Raises ConfigError."""
        found = find_weights(config.weights)
        device = device_of(config.device, item="text.device")
        model = load_t5(found, width=config.width, dtype=getattr(torch, config.dtype)).to(device)
        return cls(config, model=model, tokenizer=load_tokenizer(found, model.config))

    def encode(self, texts: Sequence[str]) -> list[TextFeatures]:
        tokens = {text: self._tokens(text) for text in texts}
        distinct = sorted({one.ids for one in tokens.values()}, key=len)  # those of like length share a batch
        features: dict[tuple[int, ...], Tensor] = {}
        for start in range(0, len(distinct), self._config.batch):
            batch = distinct[start : start + self._config.batch]
            features |= dict(zip(batch, self._features(batch), strict=True))
        # A copy each, of its own memory, and made outside inference mode, whose tensors training may not use.
        return [TextFeatures(features[tokens[text].ids].clone(), tokens[text].is_truncated) for text in texts]

    def _tokens(self, text: str) -> Tokens:
        ids = token_ids(text, self._tokenizer, cleaning=self._config.cleaning)
        limit = self._config.token_limit
        if len(ids) > limit:
            return Tokens((*ids[: limit - 1], self._end), is_truncated=True)
        return Tokens(ids, is_truncated=bool(text[MAX_CHARS:].strip()))

    def _features(self, batch: Sequence[tuple[int, ...]]) -> list[Float[Tensor, "_ D"]]:
        """The features of each sequence of tokens, by one pass of the model."""
        ids_BL, mask_BL = padded(batch, pad=self._pad)
        device = self._model.device
        with torch.inference_mode():
            states_BLD = self._model(input_ids=ids_BL.to(device), attention_mask=mask_BL.to(device)).last_hidden_state
        return [states_LD[: len(ids)] for ids, states_LD in zip(batch, states_BLD.cpu(), strict=True)]


def token_ids(text: str, tokenizer: Tokenizer, *, cleaning: str) -> tuple[int, ...]:
    """Every token of a text as the encoder reads it, its end token last; of a text only the first MAX_CHARS count."""
    seen = clean_caption_twice(text) if cleaning == "pixart" else text[:MAX_CHARS]
    return tuple(tokenizer.encode(without_lone_surrogates(seen)).ids)


def padded(batch: Sequence[Sequence[int]], *, pad: int) -> tuple[Int[Tensor, "B L"], Bool[Tensor, "B L"]]:
    """Tokens as one tensor, padded on the right, and which of them are real."""
    longest = max(map(len, batch))
    ids_BL = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids in batch])
    lengths_B = torch.tensor([len(ids) for ids in batch])
    return ids_BL, torch.arange(longest)[None] < lengths_B[:, None]


def without_lone_surrogates(text: str) -> str:
    """The text as Unicode can be written: halves of a pair are joined, a half alone is U+FFFD.

    >>> without_lone_surrogates("\\ud83c\\udf88 \\ud800")
    '🎈 �'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
