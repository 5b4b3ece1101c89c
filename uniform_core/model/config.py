"""How large a UniForm is, and the choices that the paper leaves open (facts/model.md §6, corrections.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from uniform_core.spec import AudioForm
from uniform_core.types import Count, Frozen, PositiveFloat

Position = Literal["video_anchored", "reference"]
TIME_WAVES = 256  # width of the sinusoidal code of a time or a rate


class ModelConfig(Frozen):
    """The shape of the transformer. Defaults that are not sizes follow STDiT3-XL/2.

    `depth` counts pairs of a spatial and a temporal block. `position_scale` is sqrt(height x width in pixels) / 512:
    `AVSpec.position_scale`, which weights of PixArt and Open-Sora need.
    `position="video_anchored"` keeps the video tokens where STDiT3 without further columns has them;
    `"reference"` spreads its untouched formula over all columns.
    `text_qk_norm` norms q and k of the attention to texts, too: departs from STDiT3, and adds its gains to the weights.
    `clean_time="token"` modulates the tokens of the given modality with t = 0; `"global"` has one time for all.
    `audio_form` is that of `LatentLayout`; the other two forms than its default are there to be compared with it.
    `modality_embedding` adds a learned vector to the tokens of video, audio and task, zero at first.
    `null_text="token"` is one token, the encoding of ""; `"reference"` is the reference's y_embedding under the
    caption's own mask, for weights that were trained so: it tells the caption's length.
    """

    hidden: Count
    depth: Count
    heads: Count
    text_width: Count
    max_text_tokens: Count
    mlp_ratio: PositiveFloat = 4.0
    patch_THW: Annotated[tuple[Count, Count, Count], Field(strict=False)] = (1, 2, 2)
    qk_norm: bool = True
    text_qk_norm: bool = False
    position: Position = "video_anchored"
    position_scale: PositiveFloat = 0.5
    clean_time: Literal["global", "token"] = "global"
    audio_form: AudioForm = "time_major"
    modality_embedding: bool = False
    null_text: Literal["token", "reference"] = "token"

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        if self.hidden % self.heads or (self.hidden // self.heads) % 2 or self.hidden % 4:
            raise ValueError(
                f"hidden {self.hidden} must be a multiple of 4 and of 2 x heads {self.heads}: RoPE turns pairs"
            )
        return self

    @property
    def head_width(self) -> int:
        return self.hidden // self.heads

    def fingerprint_params(self) -> dict[str, Any]:
        """What changes the weights: every value, but options that came later where they are not used."""
        fields = type(self).model_fields
        unused = {name for name in LATER if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", exclude=unused)

    @classmethod
    def example(cls) -> ModelConfig:
        """A model of a few thousand parameters."""
        return cls(hidden=32, depth=1, heads=2, text_width=8, max_text_tokens=6)


LATER = ("audio_form", "modality_embedding", "null_text")  # than the first models that fingerprints tell apart


@dataclass(frozen=True)
class BlockForm:
    """How blocks are run: speed and memory alone, the numbers agree up to rounding.

    Every `recompute_every`-th block, from the first, keeps only its input and is run again in backward (1: all of them,
    0: none). `is_compiled` runs blocks, and nothing around them, through torch.compile with `backend`: blocks of one
    kind share what is compiled.
    """

    recompute_every: int = 0
    is_compiled: bool = False
    backend: str = "inductor"
