"""Any video-language model of the library transformers, by one config. Nothing heavy is imported before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from uniform_core.captioners.frames import ShortSide, in_size
from uniform_core.captioners.prompts import PromptedConfig
from uniform_core.captioners.sampling import Sampling
from uniform_core.devices import Device
from uniform_core.types import Count
from uniform_core.weights import find_weights, weights_digest
from uniform_core.weights.found import is_path
from uniform_core.weights.hub_form import read_json

if TYPE_CHECKING:
    from uniform_core.captioners.vlm import VlmCaptioner

VERSION: Final = 1
Frames = Annotated[int, Field(strict=True, gt=0, le=512)]


class TransformersVlmConfig(PromptedConfig):
    """A model that AutoProcessor and AutoModelForImageTextToText load and that takes video: Qwen2-VL, Qwen2.5-VL,
    Qwen3-VL, LLaVA-OneVision, LLaVA-NeXT-Video, InternVL and their like.

    `weights` is a name of the manifest or a folder in the hub's form, with safetensors; code of a checkpoint is never
    run. `frames` are spread evenly over the clip, and shrunk to `short_side_px`; the model's processor does the rest.
    `chat_template` is Jinja, for models that come without one.
    """

    kind: Literal["transformers_vlm"] = "transformers_vlm"
    weights: str = "qwen2.5-vl-7b-instruct"
    frames: Frames = 16
    short_side_px: ShortSide | None = 336
    chat_template: str | None = Field(default=None, min_length=1, max_length=100_000)
    generation: Sampling = Sampling()
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    batch: Count = 8  # clips at once
    device: Device = "auto"

    @property
    def revision(self) -> str:
        """The checkpoint by its content: a name is only a name, and a folder may hold another one tomorrow."""
        return f"vlm-{VERSION} {checkpoint_revision(self.weights)}"

    @property
    def sampling(self) -> dict[str, object]:
        template = {} if self.chat_template is None else {"chat_template": self.chat_template}
        return {**self.generation.model_dump(mode="json"), "dtype": self.dtype, **template}

    @property
    def frame_policy(self) -> str:
        return in_size(f"even:{self.frames}", self.short_side_px)

    @property
    def can_vary(self) -> bool:
        return self.generation.can_vary

    @property
    def batch_clips(self) -> int:
        return self.batch

    def fingerprint_params(self) -> dict[str, Any]:
        """What decides the words; `revision` says which weights, wherever they lie."""
        named = {"system": self.asked.system, "user": self.asked.user}
        return {"kind": self.kind, "frames": self.frame_policy, "sampling": self.sampling, "asked": named}

    def require_ready(self) -> None:
        from uniform_core.captioners.vlm import require_vlm

        require_vlm(self)

    def build(self) -> VlmCaptioner:
        """The model on its device. Raises ConfigError for weights that are missing, damaged or of no video model."""
        from uniform_core.captioners.vlm import VlmCaptioner

        return VlmCaptioner.load(self)


def _model_type(settings: Mapping[str, Any]) -> str:
    return str(settings.get("model_type"))


def checkpoint_revision(word: str, *, named: Callable[[Mapping[str, Any]], str] = _model_type) -> str:
    """A checkpoint in words: its name where it has one, and the digest of its files; that it is absent where it is.

    `named` makes a name of the `config.json` of a folder.
    """
    found = weights_digest(word)
    if found is None:
        return f"absent: {word}"
    name = named(read_json(find_weights(word).file("config.json"))) if is_path(word) else word
    return f"{name}@{found[:16]}"
