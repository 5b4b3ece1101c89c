"""Video-language models through the real loading code, on miniatures of six families in the real format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_vlm import FAMILIES, clip_input, save_tiny_vlm, template_with, tiny_vlm

from uniform_core.captioners import CaptionInput, TransformersVlmConfig
from uniform_core.captioners.frames import shrunk
from uniform_core.captioners.prompts import PROMPTS
from uniform_core.captioners.vlm import VlmCaptioner, model_inputs
from uniform_core.errors import ConfigError

BORDERLESS = {"generation": {"max_new_tokens": 12, "retry_temperature": None}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each family's miniature, made once."""
    root = tmp_path_factory.mktemp("vlm")
    return {family: save_tiny_vlm(root / family, family) for family in FAMILIES}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def built(folders: dict[str, Path]) -> dict[str, VlmCaptioner]:
    return {family: tiny_vlm(folder).build() for family, folder in folders.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_says_what_each_clip_alone_does(family: str, built: dict[str, VlmCaptioner]) -> None:
    """Greedily, and of pictures of other sizes too: without left padding or masks this fails."""
    clips = [clip_input(n, size_HW=size) for n, size in enumerate([(64, 96), (96, 64), (64, 96)])]
    together = built[family].caption(clips)
    assert together == [built[family].caption([clip])[0] for clip in clips]
    assert any(result.text for result in together)
    assert len({result.text for result in together}) > 1, "words that do not depend on the frames prove nothing"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_frame_is_in_the_prompt(family: str, folders: dict[str, Path], built: dict[str, VlmCaptioner]) -> None:
    """The trap: without metadata Qwen3-VL takes a clip for one of 24 frames a second, and drops most of its frames."""
    tokens = {}
    for frames in (4, 8):
        config = tiny_vlm(folders[family], frames=frames)
        inputs = model_inputs(built[family]._processor, config, [clip_input(1, frames=frames)])
        tokens[frames] = inputs["input_ids"].shape[1]
    words = tokens[4] - (tokens[8] - tokens[4])
    assert tokens[8] > tokens[4]
    assert words >= len(PROMPTS["describe"].text), "half of the tokens of frames would be gone"
    [result] = built[family].caption([clip_input(1)])
    assert result.tokens_in == tokens[4]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_frame_counts(family: str, built: dict[str, VlmCaptioner], folders: dict[str, Path]) -> None:
    """Another picture at any of eight places changes what the model is given; of four no family drops any."""
    config = tiny_vlm(folders[family], frames=8)
    clip = clip_input(3, frames=8)
    assert clip.frames_THWC is not None
    inputs = model_inputs(built[family]._processor, config, [clip])
    [name] = [name for name in inputs if name.startswith("pixel_values")]
    for place in range(8):
        other_THWC = clip.frames_THWC.copy()
        other_THWC[place] = 255 - other_THWC[place]
        other = model_inputs(built[family]._processor, config, [replace(clip, frames_THWC=other_THWC)])
        assert not torch.equal(other[name], inputs[name])


def test_a_checkpoint_s_own_temperature_and_penalty_do_not_count(folders: dict[str, Path], tmp_path: Path) -> None:
    """Qwen2.5-VL's hub files ask for sampling and for a penalty: greedy is greedy all the same."""
    folder = save_tiny_vlm(tmp_path / "own", "qwen2_vl")
    settings = json.loads((folder / "generation_config.json").read_text())
    loud = {"do_sample": True, "temperature": 3.0, "top_k": 3, "repetition_penalty": 1.9, "max_new_tokens": 3}
    (folder / "generation_config.json").write_text(json.dumps(settings | loud))
    clips = [clip_input(n) for n in range(3)]
    assert [r.text for r in tiny_vlm(folder).build().caption(clips)] == [
        r.text for r in tiny_vlm(folders["qwen2_vl"]).build().caption(clips)
    ]


def test_another_seed_says_something_else_and_the_same_seed_the_same(folders: dict[str, Path]) -> None:
    captioner, clips = tiny_vlm(folders["qwen2_vl"]).build(), [clip_input(n) for n in range(3)]
    greedy, first, again = (captioner.caption(clips, seed=seed) for seed in (0, 7, 7))
    assert first == again
    assert {result.seed for result in first} == {7}
    assert [r.text for r in first] != [r.text for r in greedy]
    assert [captioner.caption([clip], seed=7)[0] for clip in clips] == first, "no other clip of a batch matters"
    assert [r.text for r in captioner.caption(clips, seed=8)] != [r.text for r in first]


def test_a_greedy_captioner_without_a_retry_temperature_cannot_vary(folders: dict[str, Path]) -> None:
    config = tiny_vlm(folders["qwen2_vl"], **BORDERLESS)
    assert not config.can_vary
    assert tiny_vlm(folders["qwen2_vl"]).can_vary
    captioner = config.build()
    assert captioner.caption([clip_input(1)], seed=3)[0].text == captioner.caption([clip_input(1)])[0].text


def test_what_does_not_end_is_truncated_and_says_how_many_tokens(built: dict[str, VlmCaptioner]) -> None:
    results = built["internvl"].caption([clip_input(n) for n in range(6)])
    cut = [result for result in results if result.status == "truncated"]
    ended = [result for family in built.values() for result in family.caption([clip_input(n) for n in range(4)])]
    assert cut
    assert {(result.finish_reason, result.tokens_out) for result in cut} == {("length", 12)}
    whole = [result for result in ended if result.status == "success"]
    assert whole
    assert all(result.finish_reason == "stop" and result.tokens_out < 12 for result in whole)
    assert all(len(result.text) <= result.tokens_out for result in whole), "a token a letter"


def test_one_bad_clip_costs_no_other(built: dict[str, VlmCaptioner]) -> None:
    """Qwen refuses pictures 200 times as long as high: that clip is an error, the rest of its batch is said."""
    thin = replace(clip_input(5), frames_THWC=np.zeros((4, 2, 900, 3), np.uint8))
    few = clip_input(6, frames=3)
    blind = CaptionInput("f" * 32, "label", None)
    results = built["qwen2_vl"].caption([clip_input(1), thin, few, blind, clip_input(2)])
    assert [result.status == "error" for result in results] == [False, True, True, True, False]
    assert "aspect ratio" in results[1].message
    assert "4 frames" in results[2].message
    assert results[0] == built["qwen2_vl"].caption([clip_input(1)])[0]


def test_a_broken_captioner_stops_instead_of_blaming_each_clip(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = tiny_vlm(folders["qwen2_vl"]).build()

    def broken(**_inputs: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(captioner._model, "generate", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        captioner.caption([clip_input(1), clip_input(2)])


def test_a_batch_too_large_for_memory_is_halved(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = tiny_vlm(folders["qwen2_vl"]).build()
    expected, sizes, whole = captioner.caption([clip_input(n) for n in range(4)]), [], captioner._model.generate

    def small(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("of 80 GiB")
        return whole(**inputs)

    monkeypatch.setattr(captioner._model, "generate", small)
    assert captioner.caption([clip_input(n) for n in range(4)]) == expected
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


def test_the_revision_is_the_content_and_not_the_place(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = save_tiny_vlm(tmp_path / "elsewhere", "qwen2_vl")
    here, there = tiny_vlm(folders["qwen2_vl"]), tiny_vlm(folder)
    assert here.revision == there.revision
    assert here.fingerprint_params() == there.fingerprint_params()
    assert here.revision.startswith("vlm-1 qwen2_vl@")
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    assert tiny_vlm(folder).revision != here.revision
    assert tiny_vlm(tmp_path / "elsewhere").model_copy(update={"weights": "./no"}).revision == "vlm-1 absent: ./no"


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 6},
        {"short_side_px": 84},
        {"prompt_name": "one_sentence"},
        {"prompt_words": "What is this?"},
        {"chat_template": "x"},
        {"generation": {"temperature": 0.5}},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_whatever_changes_words_is_fingerprinted(change: dict[str, Any], folders: dict[str, Path]) -> None:
    config, other = tiny_vlm(folders["qwen2_vl"]), tiny_vlm(folders["qwen2_vl"], **change)
    assert other.fingerprint_params() != config.fingerprint_params()
    place = config.model_copy(update={"device": "cpu", "batch": 3})
    assert place.fingerprint_params() == config.fingerprint_params()


def test_unknown_prompts_and_two_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="one of describe, one_sentence, sounding, six_sentences"):
        TransformersVlmConfig(weights="./x", prompt_name="poem")
    with pytest.raises(ValueError, match="not both"):
        TransformersVlmConfig(weights="./x", prompt_name="describe", prompt_words="What is this?")
    assert TransformersVlmConfig(weights="./x", prompt_words="What is this?").prompt == "What is this?"


def test_ready_where_all_is_there(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        tiny_vlm(folder).require_ready()


def no_template(folder: Path) -> dict[str, Any]:
    save_tiny_vlm(folder, "qwen2_vl", template=False)
    return {}


def blind_template(folder: Path) -> dict[str, Any]:
    save_tiny_vlm(folder, "qwen2_vl")
    return {"chat_template": "{% for message in messages %}{{ message['content'][1]['text'] }}{% endfor %}"}


def broken_template(folder: Path) -> dict[str, Any]:
    save_tiny_vlm(folder, "qwen2_vl")
    return {"chat_template": "{% for message in messages %}{{ message.no_such.thing }}"}


def no_shard(folder: Path) -> dict[str, Any]:
    save_tiny_vlm(folder, "qwen2_vl")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return {}


def lost_shard(folder: Path) -> dict[str, Any]:
    save_tiny_vlm(folder, "qwen2_vl")
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return {}


def code_of_its_own(folder: Path) -> dict[str, Any]:
    save_tiny_vlm(folder, "qwen2_vl")
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        values = json.loads((folder / name).read_text())
        classes = {"AutoConfig": "evil.Config", "AutoProcessor": "evil.Processor", "AutoTokenizer": ["evil.T", None]}
        values = {**values, "model_type": "evil", "auto_map": classes, "processor_class": "EvilProcessor"}
        (folder / name).write_text(json.dumps(values))
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Config: ...\nclass Processor: ...\n")
    return {}


def no_video(folder: Path) -> dict[str, Any]:
    from tiny_vlm import tokenizer_with
    from transformers import CLIPImageProcessor, LlavaProcessor

    save_tiny_vlm(folder, "llava_next_video")
    for path in folder.glob("*processor*"):
        path.unlink()
    LlavaProcessor(CLIPImageProcessor(), tokenizer_with("<image>"), patch_size=14).save_pretrained(folder)
    return {"chat_template": template_with("<image>")}


WRONG = {
    no_template: "expected a chat template; found none",
    blind_template: "leaves the video out|make tokens of a video",
    broken_template: "make tokens of a video and a prompt",
    no_shard: r"expected model\.safetensors",
    lost_shard: "model-00001-of-00001",
    code_of_its_own: "never run|that the library",
    no_video: "expected a model with a video processor",
}


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_what_cannot_work_is_told_before_any(make: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    more = make(folder)
    with pytest.raises(ConfigError, match=WRONG[make]):
        tiny_vlm(folder, **more).require_ready()
    assert not (folder / "ran").exists()


def test_missing_weights_say_where_they_would_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a file or a folder"):
        TransformersVlmConfig(weights=str(tmp_path / "no")).require_ready()


def damaged(tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    first = sorted(tensors)[0]
    return {
        "1 missing": {name: tensor for name, tensor in tensors.items() if name != first},
        "1 unexpected": {**tensors, "language_model.lora_A": torch.zeros(2)},
        "of another shape": {**tensors, first: torch.zeros(3)},
        "NaN or infinity in 1": {**tensors, first: torch.full_like(tensors[first], torch.nan)},
    }


def test_weights_that_the_library_would_mend_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = save_tiny_vlm(tmp_path / "damaged", "llava_onevision")
    for said, tensors in damaged(load_file(folder / "model.safetensors")).items():
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(ConfigError, match=said):
            tiny_vlm(folder).build()


def test_a_model_without_a_template_takes_the_one_of_the_config(built: dict[str, VlmCaptioner], tmp_path: Path) -> None:
    folder = save_tiny_vlm(tmp_path / "bare", "llava_onevision", template=False)
    config = tiny_vlm(folder, chat_template=template_with("<video>\n"))
    config.require_ready()
    assert config.build().caption([clip_input(1)]) == built["llava_onevision"].caption([clip_input(1)])


def test_frames_shrink_to_the_short_side_and_never_grow() -> None:
    frames_THWC = clip_input(1, size_HW=(90, 160)).frames_THWC
    assert frames_THWC is not None
    assert shrunk(frames_THWC, 45).shape == (4, 45, 80, 3)
    assert shrunk(frames_THWC.transpose(0, 2, 1, 3), 45).shape == (4, 80, 45, 3)
    assert shrunk(frames_THWC, 90) is frames_THWC
    assert shrunk(frames_THWC, 300) is frames_THWC
