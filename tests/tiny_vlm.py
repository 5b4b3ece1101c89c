"""Video-language models of some hundred thousand weights, in the real format: architectures, processors and files of
the public checkpoints, made here through their own library.

    save_tiny_vlm(folder, "qwen3_vl")

The tokenizer has one token for each byte. Weights are random, but so large that what is said depends on the frames; and
nothing but letters, spaces and the end is ever said: captions are readable nonsense, of which most end by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final

import numpy as np
import torch
import transformers as hf
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import nn

from uniform_core.captioners import CaptionInput, PllavaConfig, TransformersVlmConfig

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
IMAGE, VIDEO = "<image>", "<video>"
QWEN: Final = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
INTERN: Final = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": VIDEO,
}
SAID: Final = (*ascii_lowercase, "Ġ")  # Ġ is how byte-level vocabularies write the space
TEXT: Final = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
    "max_position_embeddings": 4096,
}
Parts = tuple[nn.Module, Any]


def save_tiny_vlm(folder: Path, family: str, *, template: bool = True, seed: int | None = None) -> Path:
    """The folder, in which a miniature of the family (`FAMILIES`) lies now as one of the hub's does.

    Without `template` it has no chat template, like older checkpoints. The default seed is one with which something is
    said of most clips, and captions of some length end.
    """
    seed = SEEDS[family] if seed is None else seed
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, processor = FAMILIES[family]()
        speak(model, processor.tokenizer, seed=seed)
    if not template:
        processor.chat_template = None
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def speak(model: nn.Module, tokenizer: Any, *, seed: int) -> None:
    """Weights by which frames change words; nothing but letters, spaces and the end is said, in a seeded way."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "embed" not in name:
            fan_in = weight[0].numel()
            weight.data = torch.randn(weight.shape, generator=generator) * (2.0 / fan_in) ** 0.5
        elif weight.ndim > 1:
            weight.data = torch.randn(weight.shape, generator=generator)
    head = model.get_output_embeddings().weight.data
    said = tokenizer.convert_tokens_to_ids([*SAID, END])
    silent = torch.ones(len(head), dtype=torch.bool)
    silent[said] = False
    head[silent] = 0.0
    head[said[-1]] *= 1.6  # else few captions would end within some tens of tokens
    config = model.generation_config
    config.eos_token_id, config.pad_token_id = said[-1], tokenizer.convert_tokens_to_ids(PAD)
    config.bos_token_id = None


def tokenizer_with(*tokens: str, **named: str) -> hf.PreTrainedTokenizerFast:
    """A tokenizer of bytes, with tokens that stand for pictures. `named` are its attributes too, as InternVL's are."""
    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    more = {"extra_special_tokens": named} if named else {}
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=PAD, eos_token=END, pad_token=PAD, padding_side="left", **more
    )
    tokenizer.add_tokens([START, *tokens, *named.values()], special_tokens=True)
    return tokenizer


def template_with(video: str) -> str:
    """A chat template of the ordinary kind, in which a video is written as `video`."""
    return (
        "{% for message in messages %}" + START + "{{ message['role'] }}\n"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}{% if part['type'] == 'video' %}" + video + "{% else %}{{ part['text'] }}"
        "{% endif %}{% endfor %}{% endif %}" + END + "\n{% endfor %}"
        "{% if add_generation_prompt %}" + START + "assistant\n{% endif %}"
    )


def _qwen(kind: str, patch: int, vision: Mapping[str, Any], **text: Any) -> Parts:
    tokenizer = tokenizer_with(*QWEN)
    ids = tokenizer.convert_tokens_to_ids
    start, end, image, video = QWEN
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
    config = getattr(hf, f"{kind}Config")(
        text_config={**TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope, **text},
        vision_config={"depth": 2, "num_heads": 4, "patch_size": patch, "spatial_merge_size": 2, **vision},
        image_token_id=ids(image),
        video_token_id=ids(video),
        vision_start_token_id=ids(start),
        vision_end_token_id=ids(end),
    )
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": 64 * (2 * patch) ** 2}
    shape = {"patch_size": patch, "merge_size": 2, "size": size}
    videos = getattr(hf, "Qwen3VLVideoProcessor" if kind == "Qwen3VL" else "Qwen2VLVideoProcessor")(**shape)
    processor = getattr(hf, f"{kind}Processor")(
        image_processor=hf.Qwen2VLImageProcessor(**shape),
        tokenizer=tokenizer,
        video_processor=videos,
        chat_template=template_with(start + video + end),
    )
    return getattr(hf, f"{kind}ForConditionalGeneration")(config), processor


def _qwen2_vl() -> Parts:
    return _qwen("Qwen2VL", 14, {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2})


def _qwen2_5_vl() -> Parts:
    windows = {"window_size": 56, "fullatt_block_indexes": [1]}
    return _qwen("Qwen2_5_VL", 14, {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, **windows})


def _qwen3_vl() -> Parts:
    sizes = {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4, "mrope_interleaved": True}
    more = {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    return _qwen("Qwen3VL", 16, {**sizes, **more}, head_dim=8, rope_parameters=rope)


def _llava_onevision() -> Parts:
    tokenizer = tokenizer_with(IMAGE, VIDEO)
    vision = {**_SMALL_VISION, "model_type": "siglip_vision_model", "vision_use_head": False, "num_hidden_layers": 2}
    config = hf.LlavaOnevisionConfig(
        vision_config=vision,
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        video_token_index=tokenizer.convert_tokens_to_ids(VIDEO),
        image_grid_pinpoints=[[56, 56]],
    )
    size = {"height": 56, "width": 56}
    processor = hf.LlavaOnevisionProcessor(
        image_processor=hf.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=[[56, 56]]),
        tokenizer=tokenizer,
        video_processor=hf.LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template_with(VIDEO + "\n"),
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def _llava_next_video() -> Parts:
    tokenizer = tokenizer_with(IMAGE, VIDEO)
    config = hf.LlavaNextVideoConfig(
        vision_config={**_SMALL_VISION, "model_type": "clip_vision_model", "num_hidden_layers": 3},
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        video_token_index=tokenizer.convert_tokens_to_ids(VIDEO),
        image_grid_pinpoints=[[56, 56]],
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    size = {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}}
    processor = hf.LlavaNextVideoProcessor(
        video_processor=hf.LlavaNextVideoVideoProcessor(**size),
        image_processor=hf.LlavaNextImageProcessor(**size, image_grid_pinpoints=[[56, 56]]),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template_with(VIDEO + "\n"),
    )
    return hf.LlavaNextVideoForConditionalGeneration(config), processor


def _internvl() -> Parts:
    tokenizer = tokenizer_with(**INTERN)
    size = {"height": 56, "width": 56}
    config = hf.InternVLConfig(
        vision_config={**_SMALL_VISION, "image_size": [56, 56], "patch_size": [14, 14], "num_hidden_layers": 2},
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids(INTERN["context_image_token"]),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    processor = hf.InternVLProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size=size),
        tokenizer=tokenizer,
        video_processor=hf.InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=template_with(VIDEO + "\n"),
    )
    return hf.InternVLForConditionalGeneration(config), processor


def save_tiny_pllava(folder: Path, *, peft: bool = True, rank: int = 8, alpha: float = 4.0, seed: int = 5) -> Path:
    """The folder, in which a miniature pLLaVA lies now: names as peft leaves them, its LoRA beside the base.

    Without `peft` the same weights lie there with the LoRA merged, by the names of an ordinary LLaVA.
    """
    tokenizer = tokenizer_with(IMAGE)
    config = hf.LlavaConfig(
        vision_config={**_SMALL_VISION, "model_type": "clip_vision_model", "num_hidden_layers": 3},
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = hf.LlavaForConditionalGeneration(config)
        speak(model, tokenizer, seed=seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    own = {"architectures": ["PllavaForConditionalGeneration"], "pooling_shape": [16, 12, 12], "use_pooling": True}
    shapes = {"frame_shape": [24, 24], "num_frames": 16, "max_sequence_length": 4096, "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps({**settings, **own, **shapes}))  # what its own class writes too
    tensors = {}
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        old = name.removeprefix("model.").replace("vision_tower.", "vision_tower.vision_model.")
        inner = "base_model.model." if peft else ""
        old = old.replace("language_model.", f"language_model.{inner}model.").replace(
            "lm_head", f"language_model.{inner}lm_head"
        )
        if not name.endswith(("q_proj.weight", "v_proj.weight")) or "language_model" not in name:
            tensors[old] = tensor
            continue
        low = torch.randn((rank, tensor.shape[1]), generator=generator)
        high = torch.randn((tensor.shape[0], rank), generator=generator)
        layer = old.removesuffix(".weight")
        if peft:
            tensors |= {f"{layer}.base_layer.weight": tensor, f"{layer}.lora_A.default.weight": low}
            tensors[f"{layer}.lora_B.default.weight"] = high
        else:
            tensors[old] = tensor + alpha / rank * (high @ low)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


_SMALL_VISION: Final = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}
FAMILIES: Final[Mapping[str, Callable[[], Parts]]] = {
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "llava_onevision": _llava_onevision,
    "llava_next_video": _llava_next_video,
    "internvl": _internvl,
}
SEEDS: Final[Mapping[str, int]] = {
    "qwen2_vl": 2,
    "qwen2_5_vl": 6,
    "qwen3_vl": 3,
    "llava_onevision": 0,
    "llava_next_video": 6,
    "internvl": 13,
}


def tiny_vlm(folder: Path, family: str = "qwen2_vl", **values: Any) -> TransformersVlmConfig:
    """The config of a miniature that now lies in a folder."""
    if not folder.exists():
        save_tiny_vlm(folder, family)
    small: dict[str, Any] = {"frames": 4, "short_side_px": 56, "dtype": "float32", "generation": {"max_new_tokens": 12}}
    return TransformersVlmConfig.model_validate({"weights": str(folder), **small, **values})


def tiny_pllava(folder: Path, **values: Any) -> PllavaConfig:
    """The config of a miniature that now lies in a folder; its prompt is short."""
    if not folder.exists():
        save_tiny_pllava(folder)
    small: dict[str, Any] = {"pooling": (4, 2, 2), "dtype": "float32", "generation": {"max_new_tokens": 12}}
    return PllavaConfig.model_validate({"weights": str(folder), "prompt_name": "one_sentence", **small, **values})


def clip_input(number: int, *, frames: int = 4, size_HW: tuple[int, int] = (64, 96)) -> CaptionInput:
    """A clip of coloured squares that change over time, like no other number's."""
    rng = np.random.default_rng(number)
    squares_THWC = rng.integers(0, 256, (frames, 4, 4, 3), dtype=np.uint8)
    frames_THWC = squares_THWC.repeat(-(-size_HW[0] // 4), axis=1).repeat(-(-size_HW[1] // 4), axis=2)
    return CaptionInput(
        f"{number:032x}",
        "a_label",
        None,
        frames_THWC=np.ascontiguousarray(frames_THWC[:, : size_HW[0], : size_HW[1]]),
        frame_indices=tuple(range(0, 8 * frames, 8)),
        rate_hz=16.0,
        clip_frames=8 * frames,
    )
