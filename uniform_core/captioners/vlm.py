"""Video-language models at work: frames and a prompt to tokens, tokens to a caption.

What differs between families is the processor's business: what it makes of a batch is passed on unseen. Rules for all
of them, each found by a test (docs/decisions/025): frames are given with their metadata and never sampled again
(Qwen3-VL would assume 24 frames a second and drop some), texts are padded on the left, a batch has one number of
frames, and what a checkpoint says of temperatures and penalties does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as ARCHITECTURES

from uniform_core.captioners.base import CaptionInput, CaptionResult
from uniform_core.captioners.drawing import end_tokens, generate, result_of
from uniform_core.captioners.frames import probe, shrunk
from uniform_core.captioners.hub_model import load_model, load_processor, model_type_of, quietly, require_files
from uniform_core.captioners.looking import LookingCaptioner
from uniform_core.devices import device_of
from uniform_core.errors import ConfigError
from uniform_core.weights import FoundWeights, find_weights
from uniform_core.weights.reading import first_line

if TYPE_CHECKING:
    from uniform_core.captioners.transformers_vlm import TransformersVlmConfig

TEMPLATE_FIX = "Give one: `chat_template` of the captioner, Jinja over `messages` with parts of type video and text."


class VlmCaptioner(LookingCaptioner):
    """A loaded model and its processor."""

    def __init__(self, config: TransformersVlmConfig, *, model: Any, processor: Any) -> None:
        super().__init__(config)
        self._config, self._model, self._processor = config, model, processor
        self._ends = end_tokens(model, processor.tokenizer)

    @classmethod
    def load(cls, config: TransformersVlmConfig) -> VlmCaptioner:
        """The captioner of a config. Raises ConfigError."""
        found = find_weights(config.weights)
        processor = video_processor_of(found, config)
        model = load_model(
            found,
            transformers.AutoModelForImageTextToText,
            dtype=getattr(torch, config.dtype),
            device=device_of(config.device, item="captioner.device"),
        )
        return cls(config, model=model, processor=processor)

    def say(self, batch: Sequence[CaptionInput], *, seed: int) -> list[CaptionResult]:
        inputs = model_inputs(self._processor, self._config, batch)
        moved = {name: self._moved(name, value) for name, value in inputs.items()}
        tokens_BL = generate(self._model, moved, batch, sampling=self._config.generation, seed=seed)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [
            result_of(
                ids,
                tokenizer=self._processor.tokenizer,
                ends=self._ends,
                limit=self._config.generation.max_new_tokens,
                tokens_in=length,
            )
            for ids, length in zip(tokens_BL.tolist(), lengths, strict=True)
        ]

    def _moved(self, name: str, value: Any) -> Any:
        """A tensor where the model is; pictures in its precision, times and grids in their own."""
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(self._model.device, dtype=self._model.dtype if name.startswith("pixel_values") else None)


def video_processor_of(found: FoundWeights, config: TransformersVlmConfig) -> Any:
    """The processor of a checkpoint, one that takes video and has a chat template. Raises ConfigError."""
    processor = load_processor(found)
    if getattr(processor, "video_processor", None) is None or getattr(processor, "tokenizer", None) is None:
        raise ConfigError(
            f"weights {found.word}",
            expected="a model with a video processor",
            found=f"{model_type_of(found)}, whose processor ({type(processor).__name__}) takes no video",
            fix="Give a video-language model; a LLaVA 1.5 that pLLaVA was made of is for the captioner pllava.",
        )
    if config.chat_template is None and not processor.chat_template and not processor.tokenizer.chat_template:
        raise ConfigError(f"weights {found.word}", expected="a chat template", found="none", fix=TEMPLATE_FIX)
    processor.tokenizer.padding_side = "left"
    if getattr(processor.video_processor, "cap_pixels_per_frame", False) is None:
        # Qwen's: the library says that its default will change; ours is what its authors' own code does.
        processor.video_processor.cap_pixels_per_frame = True
    return processor


def model_inputs(processor: Any, config: TransformersVlmConfig, batch: Sequence[CaptionInput]) -> Mapping[str, Any]:
    """What the model is given: the family's own tensors, `input_ids` and `attention_mask` among them."""
    talks = [_talk(config, shrunk(_frames(item), config.short_side_px)) for item in batch]
    options = {"padding": True, "do_sample_frames": False, "video_metadata": [_metadata(item) for item in batch]}
    with quietly():
        inputs: Mapping[str, Any] = processor.apply_chat_template(
            talks,
            chat_template=config.chat_template,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=True,
            processor_kwargs=options,
        )
    return inputs


def require_vlm(config: TransformersVlmConfig) -> None:
    """The checkpoint's files are there, and its processor makes something of a clip. Raises ConfigError."""
    found = find_weights(config.weights)
    require_files(found)
    processor = video_processor_of(found, config)
    if model_type_of(found) not in ARCHITECTURES:
        raise ConfigError(
            f"weights {found.word}",
            expected="a model that makes text of pictures",
            found=f"one of type {model_type_of(found)}",
            fix="Give a video-language model.",
        )
    black = probe(config.pick_frames(64), clip_frames=64)
    try:
        inputs = model_inputs(processor, config, [black])
    except Exception as error:  # of whatever kind templates and processors of strangers have
        raise _unusable(found, f"{type(error).__name__}: {first_line(error)}") from error
    if not any(name.startswith("pixel_values") for name in inputs):
        raise _unusable(found, "a chat template that leaves the video out")


def _unusable(found: FoundWeights, said: str) -> ConfigError:
    return ConfigError(
        f"weights {found.word}",
        expected="a processor and a chat template that make tokens of a video and a prompt",
        found=said,
        fix=TEMPLATE_FIX,
    )


def _talk(config: TransformersVlmConfig, frames_THWC: Any) -> list[dict[str, Any]]:
    """One question of one user, system part and all: templates differ in whether they show a system's."""
    parts = [{"type": "video", "video": frames_THWC}, {"type": "text", "text": config.prompt}]
    return [{"role": "user", "content": parts}]


def _metadata(item: CaptionInput) -> dict[str, Any]:
    return {
        "total_num_frames": item.clip_frames,
        "fps": item.rate_hz,
        "frames_indices": list(item.frame_indices or ()),
        "duration": item.duration_s,
    }


def _frames(item: CaptionInput) -> Any:
    assert item.frames_THWC is not None, "`LookingCaptioner` gives only inputs with frames"
    return item.frames_THWC
