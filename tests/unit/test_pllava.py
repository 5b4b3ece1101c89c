"""pLLaVA over the library's LLaVA: its frames, its pooling, its LoRA, its prompt; on a miniature by its own names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from caption_table import add_clips, build, say_all
from catalog_rows import open_catalog
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tiny_vlm import clip_input, save_tiny_pllava, save_tiny_vlm, tiny_pllava
from torch import Tensor

from uniform_core.captioners import PllavaConfig, TransformersVlmConfig
from uniform_core.captioners.pllava_model import PllavaCaptioner
from uniform_core.captioners.prompts import PROMPTS
from uniform_core.corpus.caption_corpora import corpus_captions
from uniform_core.corpus.caption_policy import POLICIES
from uniform_core.errors import ConfigError

CLIPS = [clip_input(n, size_HW=size) for n, size in enumerate([(64, 96), (96, 64), (56, 56), (64, 64)])]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_pllava(tmp_path_factory.mktemp("pllava") / "peft")


@pytest.fixture(scope="module")
def captioner(folder: Path) -> PllavaCaptioner:
    return tiny_pllava(folder).build()


def test_the_defaults_are_open_soras_recipe() -> None:
    config = PllavaConfig()
    assert (config.weights, config.frames, config.pooling, config.lora_alpha) == ("pllava-13b", 4, (4, 12, 12), 4.0)
    assert (config.generation.temperature, config.generation.max_new_tokens) == (0.0, 256)
    asked = PROMPTS["six_sentences"]
    assert "six sentences" in (asked.system or "")
    assert config.talk == f"{asked.system} USER:<image> {asked.user} ASSISTANT:"
    assert config.prompt == asked.text
    assert config.frame_policy == "pllava:4 pooled to 4-12-12"


@pytest.mark.parametrize(("clip_frames", "frames"), [(68, 4), (68, 16), (5, 4), (1, 4), (300, 7), (33, 4)])
def test_frames_are_those_of_its_authors_rule(clip_frames: int, frames: int) -> None:
    """The rule as arithmetic over the whole array: seg = (N - 1) / n, start = floor(seg / 2), start + round(seg i)."""
    seg = float(clip_frames - 1) / frames
    expected = int(seg / 2) + np.round(seg * np.arange(frames)).astype(int)
    assert PllavaConfig(frames=frames).pick_frames(clip_frames) == tuple(expected)
    assert expected[-1] < clip_frames


def test_visual_tokens_are_means_over_blocks_of_frames_and_patches(captioner: PllavaCaptioner, folder: Path) -> None:
    """Against a loop over blocks, of features from the tower and the projector one frame at a time."""
    other = tiny_pllava(folder, pooling=(2, 2, 4)).build()
    found_ND = other.visual_tokens(CLIPS[:1])[0]
    model = captioner._model.model
    frames = []
    for frame in CLIPS[0].frames_THWC:
        pixels = captioner._pictures(images=[frame], return_tensors="pt")["pixel_values"]
        states = model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        frames.append(model.multi_modal_projector(states)[0].reshape(4, 4, -1))
    grid_ThwD = torch.stack(frames)
    blocks = [
        grid_ThwD[2 * t : 2 * t + 2, 2 * y : 2 * y + 2, x].mean(dim=(0, 1))
        for t in range(2)
        for y in range(2)
        for x in range(4)
    ]
    torch.testing.assert_close(found_ND, torch.stack(blocks), rtol=1e-5, atol=1e-5)


def test_the_video_stands_where_the_prompt_has_its_image(captioner: PllavaCaptioner, folder: Path) -> None:
    inputs = captioner.inputs(CLIPS[:2])
    embedded_BLD = inputs["inputs_embeds"]
    config = tiny_pllava(folder)
    before, after = config.talk.encode().split(b"<image>")
    words = captioner._model.get_input_embeddings().weight
    visual_BND = captioner.visual_tokens(CLIPS[:2])
    assert embedded_BLD.shape[1] == len(before) + 16 + len(after)  # a token a byte; 4 x 2 x 2 of the video
    for place, byte in ((0, before[:1]), (len(before) - 1, before[-1:]), (len(before) + 16, after[:1])):
        token = captioner._tokenizer.encode(byte.decode(), add_special_tokens=False)[0]
        torch.testing.assert_close(embedded_BLD[0, place], words[token])
    torch.testing.assert_close(embedded_BLD[:, len(before) : len(before) + 16], visual_BND)
    assert captioner.caption(CLIPS[:1])[0].tokens_in == embedded_BLD.shape[1]


def test_a_batch_says_what_each_clip_alone_does(captioner: PllavaCaptioner) -> None:
    together = captioner.caption(CLIPS)
    assert together == [captioner.caption([clip])[0] for clip in CLIPS]
    assert len({result.text for result in together}) > 1, "words that do not depend on the frames prove nothing"
    drawn = captioner.caption(CLIPS, seed=3)
    assert drawn == [captioner.caption([clip], seed=3)[0] for clip in CLIPS]
    assert [result.text for result in drawn] != [result.text for result in together]


def test_the_lora_is_merged_with_alpha_over_its_rank(captioner: PllavaCaptioner, folder: Path, tmp_path: Path) -> None:
    """The same weights, merged by the test and under plain names, say the same; another alpha is another model."""
    merged = tiny_pllava(save_tiny_pllava(tmp_path / "merged", peft=False), lora_alpha=None).build()
    for name, tensor in merged._model.state_dict().items():
        torch.testing.assert_close(captioner._model.state_dict()[name], tensor, rtol=1e-5, atol=1e-5)
    assert [r.text for r in merged.caption(CLIPS)] == [r.text for r in captioner.caption(CLIPS)]
    loud = tiny_pllava(folder, lora_alpha=32.0).build()
    assert [r.text for r in loud.caption(CLIPS)] != [r.text for r in captioner.caption(CLIPS)]


def test_line_ends_become_spaces(captioner: PllavaCaptioner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioner._tokenizer, "decode", lambda *_ids, **_more: " A red ball.\nIt rolls. \n")
    assert captioner.caption(CLIPS[:1])[0].text == "A red ball. It rolls."


def test_ready_without_reading_a_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uniform_core.captioners.pllava_weights._read", None)
    tiny_pllava(folder).require_ready()


Change = Callable[[Path, dict[str, Tensor]], dict[str, Any]]


def no_half(_folder: Path, tensors: dict[str, Tensor]) -> dict[str, Any]:
    del tensors[next(name for name in sorted(tensors) if "lora_B" in name)]
    return {}


def other_rank(_folder: Path, tensors: dict[str, Tensor]) -> dict[str, Any]:
    name = next(name for name in sorted(tensors) if "lora_A" in name)
    tensors[name] = tensors[name][:3].contiguous()
    return {}


def no_lora(_folder: Path, tensors: dict[str, Tensor]) -> dict[str, Any]:
    for name in [name for name in tensors if "lora" in name]:
        del tensors[name]
    return {}


def alpha_forgotten(_folder: Path, _tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {"lora_alpha": None}


def other_image_token(folder: Path, _tensors: dict[str, Tensor]) -> dict[str, Any]:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "image_token_index": 5}))
    return {}


def no_layer(_folder: Path, tensors: dict[str, Tensor]) -> dict[str, Any]:
    del tensors["multi_modal_projector.linear_2.weight"]
    return {}


def other_model(folder: Path, _tensors: dict[str, Tensor]) -> dict[str, Any]:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "model_type": "qwen2_vl"}))
    return {}


WRONG: dict[Change, str] = {
    no_half: r"1 of 4 that do not fit \(language_model\.layers\.0",
    other_rank: "1 of 4 that do not fit",
    no_lora: "expected a LoRA.*found none",
    alpha_forgotten: "expected no LoRA, since lora_alpha is null; found one of 4 layers",
    other_image_token: "expected <image> to be token 5",
    no_layer: r"1 missing \(multi_modal_projector",
    other_model: "expected a model of type llava.*transformers_vlm",
}


@pytest.mark.parametrize("change", WRONG, ids=lambda change: change.__name__)
def test_what_cannot_work_is_told_before_any(change: Change, tmp_path: Path) -> None:
    folder = save_tiny_pllava(tmp_path / "wrong")
    tensors = load_file(folder / "model.safetensors")
    more = change(folder, tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for use in (PllavaConfig.require_ready, PllavaConfig.build):
        with pytest.raises(ConfigError, match=WRONG[change]):
            use(tiny_pllava(folder, **more))


def test_a_pllava_is_sent_to_its_own_captioner_and_another_model_to_the_other(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="transformers_vlm"):
        tiny_pllava(save_tiny_vlm(tmp_path / "qwen", "qwen2_vl")).require_ready()
    with pytest.raises(ConfigError, match=r"video processor|processor that the library"):
        TransformersVlmConfig(weights=str(folder)).require_ready()


def test_the_conversation_has_its_three_places_once() -> None:
    for wrong in ("USER: <image> {user}", "{system} <image> <image> {user}", "{system} {user}"):
        with pytest.raises(ValidationError, match="exactly once"):
            PllavaConfig(conversation=wrong)
    assert PllavaConfig(prompt_words="a <image> b").talk == "USER:<image> a  b ASSISTANT:"


def test_what_changes_words_is_fingerprinted_and_where_it_lies_is_not(folder: Path, tmp_path: Path) -> None:
    config = tiny_pllava(folder)
    moved = tiny_pllava(save_tiny_pllava(tmp_path / "moved"), batch=1, device="cpu")
    assert (moved.fingerprint_params(), moved.revision) == (config.fingerprint_params(), config.revision)
    for change in ({"pooling": (4, 4, 4)}, {"lora_alpha": 32.0}, {"frames": 8}, {"prompt_name": "describe"}):
        assert tiny_pllava(folder, **change).fingerprint_params() != config.fingerprint_params()


@pytest.mark.parametrize(("size", "takes"), [((5120, 40), "said of the frames"), ((4096, 32), None), (None, None)])
def test_captions_of_a_folder_are_those_of_the_papers_policy_where_its_model_has_that_size(
    size: tuple[int, int] | None, takes: str | None, folder: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(folder, tmp_path / "model")
    if size is not None:
        settings = json.loads((own / "config.json").read_text())
        settings["text_config"] |= {"hidden_size": size[0], "num_hidden_layers": size[1]}
        (own / "config.json").write_text(json.dumps(settings))
    catalog = open_catalog(tmp_path / "home")
    add_clips(catalog, ["dog"])
    say_all(catalog, {0: "dog"}, "class_label")
    say_all(catalog, {0: "said of the frames"}, "pllava", captioner_revision=tiny_pllava(own).revision)
    if takes is None:
        with pytest.raises(ConfigError, match=r"captioner revision of captions: pllava-1 pllava-(7b|32x2)@"):
            build(catalog, POLICIES["paper-pllava-13b"])
        return
    version = build(catalog, POLICIES["paper-pllava-13b"])
    assert corpus_captions(catalog, version, columns=["text"])["text"].to_pylist() == [takes]


def test_captions_of_the_published_checkpoint_are_those_of_the_papers_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uniform_core.captioners.transformers_vlm.weights_digest", lambda _word: "ab" * 32)
    catalog = open_catalog(tmp_path / "home")
    add_clips(catalog, ["dog"])
    say_all(catalog, {0: "said of the frames"}, "pllava", captioner_revision=PllavaConfig().revision)
    assert build(catalog, POLICIES["paper-pllava-13b"]).by_selector == (1, 0)
