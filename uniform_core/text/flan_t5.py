"""FLAN-T5 as a config: which size, where from, how it reads a text. Nothing heavy is imported before `build`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from uniform_core.devices import Device
from uniform_core.text.base import TextEncoderConfig
from uniform_core.text.cleaning import VERSION as CLEANING_VERSION
from uniform_core.types import Count
from uniform_core.weights import find_weights, weights_digest

if TYPE_CHECKING:
    from uniform_core.text.t5_encoder import FlanT5Encoder

VERSION: Final = 1
WIDTHS: Final = {
    "flan-t5-small": 512,
    "flan-t5-base": 768,
    "flan-t5-large": 1024,
    "flan-t5-xl": 2048,
    "flan-t5-xxl": 4096,
}
TYPICAL_TOKENS: Final = 190  # of a caption of some 150 words, as video captioners write them


class FlanT5Config(TextEncoderConfig):
    """The encoder half of a FLAN-T5: of the hub's five, or of a folder in their form with its width in `dimensions`.

    The paper names no size. `flan-t5-xxl` is the one at which PixArt's caption projection loads; its 4.76 B parameters
    take 8.87 GiB in bfloat16 (large: 0.64 GiB). There is no float16: T5 overflows in it.
    `token_limit` 300 as in Open-Sora v1.2; 120 or 128 would cut most captions of a video captioner.
    `cleaning` is "none" since the model is trained on captions as they are: Open-Sora v1.2 cleans prompts at inference
    alone, the paper's captions are printed with their capitals, and cleaning removes years and sizes. "pixart" is what
    PixArt's own encoder does to every text.
    """

    kind: Literal["flan_t5"] = "flan_t5"
    weights: str = "flan-t5-xxl"
    dimensions: Count | None = None
    token_limit: Annotated[int, Field(strict=True, gt=0, le=512)] = 300  # the end token included
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    cleaning: Literal["none", "pixart"] = "none"
    batch: Count = 16  # texts at once
    device: Device = "auto"

    @model_validator(mode="after")
    def _width_is_known(self) -> FlanT5Config:
        known = WIDTHS.get(self.weights)
        if known is None and self.dimensions is None:
            raise ValueError(f"dimensions must say the width of {self.weights!r}: only {', '.join(WIDTHS)} are known")
        if known is not None and self.dimensions not in (None, known):
            raise ValueError(f"dimensions {self.dimensions} must be left out, or {known}, for {self.weights}")
        return self

    @property
    def width(self) -> int:
        return self.dimensions or WIDTHS[self.weights]

    @property
    def max_tokens(self) -> int:
        return self.token_limit

    @property
    def is_light(self) -> bool:
        return False

    @property
    def typical_bytes(self) -> int:
        itemsize = 2 if self.dtype == "bfloat16" else 4
        return itemsize * self.width * min(TYPICAL_TOKENS, self.token_limit)

    def fingerprint_params(self) -> dict[str, Any]:
        """What the weights are, not where they lie; `batch` and `device` change no more than rounding does."""
        cleaning = None if self.cleaning == "none" else {"name": self.cleaning, "version": CLEANING_VERSION}
        return {
            "kind": self.kind,
            "version": VERSION,
            # Nothing can be stored under the name of weights that are not here.
            "weights": weights_digest(self.weights) or f"absent: {self.weights}",
            "width": self.width,
            "token_limit": self.token_limit,
            "dtype": self.dtype,
            "cleaning": cleaning,
        }

    @property
    def counter_name(self) -> str:
        return f"{self.kind}:{self.weights}"

    def token_counter(self) -> Callable[[str], int]:
        from uniform_core.text.t5_encoder import token_ids
        from uniform_core.text.t5_weights import load_tokenizer, require_t5

        found = find_weights(self.weights)
        tokenizer = load_tokenizer(found, require_t5(found, width=self.width).config)
        return lambda text: len(token_ids(text, tokenizer, cleaning=self.cleaning))

    def weight_facts(self) -> dict[str, Any]:
        from uniform_core.text.t5_weights import load_tokenizer, require_t5

        found = find_weights(self.weights)
        load_tokenizer(found, require_t5(found, width=self.width).config)
        return {}

    def build(self) -> FlanT5Encoder:
        """The encoder on its device. Raises ConfigError for weights that are missing, damaged or another model's."""
        from uniform_core.text.t5_encoder import FlanT5Encoder

        return FlanT5Encoder.load(self)
