"""pLLaVA as a config, with the recipe of Open-Sora v1.2, which the paper's captions have the shape of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, field_validator

from uniform_core.captioners.prompts import PromptedConfig
from uniform_core.captioners.sampling import Sampling
from uniform_core.captioners.transformers_vlm import checkpoint_revision
from uniform_core.devices import Device
from uniform_core.types import Count, PositiveFloat

if TYPE_CHECKING:
    from uniform_core.captioners.pllava_model import PllavaCaptioner

VERSION: Final = 1
IMAGE: Final = "<image>"
Side = Annotated[int, Field(strict=True, gt=0, le=64)]


SIZES: Final[Mapping[str, str]] = {"4096x32": "7b", "5120x40": "13b", "7168x60": "34b"}
"""The sizes that pLLaVA was published in, by the width and the layers of the language model."""


def size_name(settings: Mapping[str, Any]) -> str:
    """Which pLLaVA a `config.json` describes, as the published ones are named; another by its width and layers.

    What a config leaves out is as the library has it: 4096 wide, 32 layers.

    >>> size_name({"text_config": {"hidden_size": 5120, "num_hidden_layers": 40}})
    'pllava-13b'
    >>> size_name({"text_config": {"hidden_size": 64, "num_hidden_layers": 2}})
    'pllava-64x2'
    """
    text = settings.get("text_config")
    given = text if isinstance(text, Mapping) else {}
    size = f"{given.get('hidden_size', 4096)}x{given.get('num_hidden_layers', 32)}"
    return f"pllava-{SIZES.get(size, size)}"


class PllavaConfig(PromptedConfig):
    """A LLaVA 1.5 whose visual tokens are pooled over time and space after the projector, to `pooling` (T, h, w).

    Defaults are those of Open-Sora v1.2's tools/caption/pllava_dir: 13b, 4 frames, 4-12-12 (576 tokens), greedy,
    256 new tokens, line ends as spaces. `weights` is a folder as ermu2001/pllava-13b is: a base with a LoRA beside
    it, which is merged with `lora_alpha` over its rank (4/128, while training had 32/128); null where they are
    merged already. `conversation` is what surrounds the prompt; the visual tokens stand where it has <image>.
    Source: magic-research/PLLaVA, models/pllava and tasks/eval; facts/audio-text-captions.md §3.1.
    """

    default_prompt: ClassVar[str] = "six_sentences"

    kind: Literal["pllava"] = "pllava"
    weights: str = "pllava-13b"
    frames: Annotated[int, Field(strict=True, gt=0, le=64)] = 4
    pooling: tuple[Side, Side, Side] = (4, 12, 12)
    lora_alpha: PositiveFloat | None = 4.0
    conversation: str = Field(default="{system} USER:<image> {user} ASSISTANT:", max_length=2_000)
    generation: Sampling = Sampling()
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    batch: Count = 4  # clips at once
    device: Device = "auto"

    @field_validator("conversation")
    @classmethod
    def _has_its_places(cls, conversation: str) -> str:
        for place in ("{system}", "{user}", IMAGE):
            if conversation.count(place) != 1:
                raise ValueError(f"the conversation must hold {place} exactly once")
        return conversation

    @property
    def talk(self) -> str:
        """The whole prompt, <image> in it where the video is."""
        asked = self.asked
        words = self.conversation.replace("{user}", asked.user.replace(IMAGE, ""))
        return words.replace("{system}", (asked.system or "").replace(IMAGE, "")).strip()

    @property
    def revision(self) -> str:
        return f"pllava-{VERSION} {checkpoint_revision(self.weights, named=size_name)}"

    @property
    def sampling(self) -> dict[str, object]:
        own = {"dtype": self.dtype, "lora_alpha": self.lora_alpha, "conversation": self.conversation}
        return {**self.generation.model_dump(mode="json"), **own}

    @property
    def frame_policy(self) -> str:
        return f"pllava:{self.frames} pooled to {'-'.join(map(str, self.pooling))}"

    @property
    def can_vary(self) -> bool:
        return self.generation.can_vary

    @property
    def batch_clips(self) -> int:
        return self.batch

    def pick_frames(self, clip_frames: int) -> tuple[int, ...]:
        """As `get_index` of its authors: about the middle of equal parts, the first half-part cut short.

        >>> PllavaConfig().pick_frames(68)
        (8, 25, 42, 58)
        """
        part = (clip_frames - 1) / self.frames
        return tuple(int(part / 2) + int(np.round(part * index)) for index in range(self.frames))

    def fingerprint_params(self) -> dict[str, Any]:
        """What decides the words; `revision` says which weights."""
        return {"kind": self.kind, "frames": self.frame_policy, "sampling": self.sampling, "talk": self.talk}

    def require_ready(self) -> None:
        from uniform_core.captioners.pllava_model import require_pllava

        require_pllava(self)

    def build(self) -> PllavaCaptioner:
        """The model on its device. Raises ConfigError for weights that are missing, damaged or of no pLLaVA."""
        from uniform_core.captioners.pllava_model import PllavaCaptioner

        return PllavaCaptioner.load(self)
