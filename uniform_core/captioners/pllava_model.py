"""pLLaVA at work, over the library's LLaVA: frames to visual tokens, pooled, in place of the one <image> of the prompt.

Axes: B clips, T frames, N patches (h w) of a frame, D width, L tokens. Every clip has the same prompt, so that no
sequence of a batch is padded.
Source: magic-research/PLLaVA, models/pllava/modeling_pllava.py (the projector comes before the pooling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from uniform_core.captioners.base import CaptionInput, CaptionResult
from uniform_core.captioners.drawing import end_tokens, generate, result_of
from uniform_core.captioners.hub_model import clear_generation, loaded, model_type_of, quietly
from uniform_core.captioners.looking import LookingCaptioner
from uniform_core.captioners.pllava import IMAGE
from uniform_core.captioners.pllava_weights import merged_state, require_forms
from uniform_core.devices import device_of
from uniform_core.errors import ConfigError
from uniform_core.weights import FoundWeights, find_weights

if TYPE_CHECKING:
    from uniform_core.captioners.pllava import PllavaConfig


class PllavaCaptioner(LookingCaptioner):
    """A loaded model, its tokenizer, and CLIP's preparation of pictures at the size of its tower."""

    def __init__(self, config: PllavaConfig, *, model: Any, tokenizer: Any) -> None:
        super().__init__(config)
        self._config, self._model, self._tokenizer = config, model, tokenizer
        self._ends = end_tokens(model, tokenizer)
        self._ids_L = prompt_ids(tokenizer, config)
        side = model.config.vision_config.image_size
        self._pictures = transformers.CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        )

    @classmethod
    def load(cls, config: PllavaConfig) -> PllavaCaptioner:
        """The captioner of a config. Raises ConfigError."""
        found = find_weights(config.weights)
        tokenizer = tokenizer_of(found, config)
        dtype = getattr(torch, config.dtype)
        state = merged_state(found, on_meta(found), lora_alpha=config.lora_alpha, dtype=dtype)
        settings = llava_config(found)
        model = loaded(
            lambda: transformers.LlavaForConditionalGeneration.from_pretrained(
                None, config=settings, state_dict=state, dtype=dtype
            ),
            found,
            "a LLaVA",
        )
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        model.generation_config.pad_token_id = pad
        clear_generation(model)
        device = device_of(config.device, item="captioner.device")
        return cls(config, model=model.to(device).eval().requires_grad_(False), tokenizer=tokenizer)

    def say(self, batch: Sequence[CaptionInput], *, seed: int) -> list[CaptionResult]:
        with torch.inference_mode():
            inputs = self.inputs(batch)
        tokens_BL = generate(self._model, inputs, batch, sampling=self._config.generation, seed=seed)
        length = inputs["inputs_embeds"].shape[1]
        limit = self._config.generation.max_new_tokens
        results = [
            result_of(ids, tokenizer=self._tokenizer, ends=self._ends, limit=limit, tokens_in=length)
            for ids in tokens_BL.tolist()
        ]
        return [result if result.text is None else replace(result, text=result.text.replace("\n", " "))
                for result in results]  # fmt: skip

    def inputs(self, batch: Sequence[CaptionInput]) -> dict[str, Tensor]:
        """The embedded prompt of each clip, with its visual tokens where <image> was; and a mask of ones."""
        ids_L = self._ids_L.to(self._model.device)
        [place] = (ids_L == self._model.config.image_token_id).nonzero().flatten().tolist()
        words_LD = self._model.get_input_embeddings()(ids_L)
        visual_BND = self.visual_tokens(batch)
        before, after = (part_LD.expand(len(batch), -1, -1) for part_LD in (words_LD[:place], words_LD[place + 1 :]))
        embedded_BLD = torch.cat([before, visual_BND, after], dim=1)
        mask_BL = torch.ones(embedded_BLD.shape[:2], dtype=torch.long, device=embedded_BLD.device)
        return {"inputs_embeds": embedded_BLD, "attention_mask": mask_BL}

    def visual_tokens(self, batch: Sequence[CaptionInput]) -> Float[Tensor, "B N D"]:
        """Frames through the tower and the projector, then pooled to `pooling`: T first, rows before columns."""
        frames = [frame for item in batch if item.frames_THWC is not None for frame in item.frames_THWC]
        with quietly():
            pixels = self._pictures(images=frames, return_tensors="pt")["pixel_values"]
        settings = self._model.config
        seen = self._model.model.get_image_features(
            pixel_values=pixels.to(self._model.device, self._model.dtype),
            vision_feature_layer=settings.vision_feature_layer,
            vision_feature_select_strategy=settings.vision_feature_select_strategy,
        )
        features_FND = torch.stack(list(seen.pooler_output))  # F frames of all clips
        side = math.isqrt(features_FND.shape[1])
        grid = features_FND.reshape(len(batch), self._config.frames, side, side, -1)
        pooled_BDThw = adaptive_avg_pool3d(grid.permute(0, 4, 1, 2, 3), self._config.pooling)
        return pooled_BDThw.flatten(2).transpose(1, 2)


def require_pllava(config: PllavaConfig) -> None:
    """The checkpoint is a LLaVA with this LoRA, its tokenizer knows <image>. Raises ConfigError; reads no numbers."""
    found = find_weights(config.weights)
    tokenizer_of(found, config)
    require_forms(found, on_meta(found), lora_alpha=config.lora_alpha)


def llava_config(found: FoundWeights) -> Any:
    """The config of a LLaVA, without what PLLaVA's own class added to it. Raises ConfigError."""
    if model_type_of(found) not in ("llava", "pllava"):
        raise ConfigError(
            f"weights {found.word}",
            expected="a model of type llava, which pLLaVA is",
            found=model_type_of(found),
            fix="Give a pLLaVA; other models are for the captioner transformers_vlm.",
        )
    path = str(found.file("config.json"))
    return loaded(lambda: transformers.LlavaConfig.from_json_file(path), found, "the config of a LLaVA")


def on_meta(found: FoundWeights) -> Any:
    """The architecture without weights. Raises ConfigError."""
    settings = llava_config(found)
    with torch.device("meta"):
        return loaded(lambda: transformers.LlavaForConditionalGeneration(settings), found, "a LLaVA")


def tokenizer_of(found: FoundWeights, config: PllavaConfig) -> Any:
    """The tokenizer, whose <image> is the model's. Raises ConfigError.

    (Of the 34b, versions of the library made another token of it than the config names: magic-research/PLLaVA#32.)
    """
    options = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = loaded(
        lambda: transformers.AutoTokenizer.from_pretrained(str(found.root), **options), found, "a tokenizer"
    )
    token, expected = tokenizer.convert_tokens_to_ids(IMAGE), llava_config(found).image_token_id
    places = prompt_ids(tokenizer, config).eq(expected).sum()
    if token != expected or places != 1:
        raise ConfigError(
            f"weights {found.word}",
            expected=f"{IMAGE} to be token {expected}, as the config names it, once in the prompt",
            found=f"token {token}, and {int(places)} of {expected} in the prompt",
            fix="Correct image_token_index of config.json, or take the tokenizer that the checkpoint was made with.",
        )
    return tokenizer


def prompt_ids(tokenizer: Any, config: PllavaConfig) -> Int[Tensor, "L"]:
    """The tokens of the whole prompt, the one that begins a text among them where the tokenizer has one."""
    return torch.tensor(tokenizer(config.talk)["input_ids"], dtype=torch.long)
