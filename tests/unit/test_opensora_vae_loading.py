"""Weights of Open-Sora's VAE: all names or none, and one error that says what a wrong file is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from tiny_opensora_vae import tiny_network, tiny_opensora_vae

from uniform_core.codecs import OpenSoraVaeConfig
from uniform_core.codecs.opensora_vae_net import with_present_names
from uniform_core.errors import ConfigError
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=1.0, video_rate_hz=17, height_px=16, width_px=16, canonical_short_side_px=16)
OLDER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture
def tiny(tmp_path: Path) -> OpenSoraVaeConfig:
    return tiny_opensora_vae(tmp_path / "weights")


def file_of(config: OpenSoraVaeConfig) -> Path:
    return Path(config.weights) / "model.safetensors"


def in_older_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    def older(name: str) -> str:
        return re.sub(r"(?<=attentions\.0\.)(to_q|to_k|to_v|to_out\.0)", lambda match: OLDER[match[0]], name)

    return {older(name): value for name, value in state.items()}


def test_every_tensor_of_the_file_is_used(tiny: OpenSoraVaeConfig) -> None:
    loaded = tiny.build(SPEC).network.state_dict()
    saved = load_file(file_of(tiny))
    assert set(loaded) == set(saved)
    assert all(torch.equal(loaded[name], value) for name, value in saved.items())


def test_the_file_alone_serves_as_its_folder_does(tiny: OpenSoraVaeConfig) -> None:
    alone = tiny.model_copy(update={"weights": str(file_of(tiny))})
    video = torch.linspace(-1, 1, 3 * 17 * 16 * 16).view(1, 3, 17, 16, 16)
    assert torch.equal(alone.build(SPEC).encode(video), tiny.build(SPEC).encode(video))


def test_older_attention_names_are_renamed_as_diffusers_does(tiny: OpenSoraVaeConfig, tmp_path: Path) -> None:
    spatial = tiny_network().spatial_vae.module
    older = in_older_names(spatial.state_dict())
    assert sum("proj_attn" in name for name in older) == 4
    spatial.save_config(tmp_path / "older")
    save_file(older, tmp_path / "older" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    by_diffusers = AutoencoderKL.from_pretrained(tmp_path / "older").state_dict()
    by_us = with_present_names(older)
    assert set(by_us) == set(by_diffusers)
    assert all(torch.equal(by_us[name], value) for name, value in by_diffusers.items())

    whole = load_file(file_of(tiny))
    expected = tiny.build(SPEC).network.state_dict()
    save_file(in_older_names(whole), file_of(tiny))
    loaded = tiny.build(SPEC).network.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in expected.items())


def test_weights_that_are_not_there(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.safetensors.*uniform weights pull opensora-vae-1\.2.*Apache-2\.0"):
        OpenSoraVaeConfig().build(SPEC)


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    for name in ("config.json", "other.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigError, match=r"expected a file model\.safetensors; found config\.json, other"):
        OpenSoraVaeConfig.example().model_copy(update={"weights": str(tmp_path)}).build(SPEC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("shift"), r"1 missing \(shift \[1, 4, 1, 1, 1\]\)"),
        (lambda state: state.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (lambda state: state.update(scale=torch.ones(1, 8, 1, 1, 1)), r"scale \[1, 8, 1, 1, 1\] instead of"),
        (lambda state: state["scale"].fill_(float("nan")), "NaN or infinity in 1 of"),
        (lambda state: state["scale"][0, 2].zero_(), r"expected a scale above 0 for each channel; found scale .*, 0, "),
        (lambda state: state["scale"].neg_(), "expected a scale above 0 for each channel; found scale -"),
    ],
)
def test_a_file_that_is_nearly_right(tiny: OpenSoraVaeConfig, change, message: str) -> None:
    state = load_file(file_of(tiny))
    change(state)
    save_file(state, file_of(tiny))
    with pytest.raises(ConfigError, match=message):
        tiny.build(SPEC)


def test_another_models_file_and_a_truncated_one(tiny: OpenSoraVaeConfig) -> None:
    whole = file_of(tiny).read_bytes()
    file_of(tiny).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="cut short or damaged"):
        tiny.build(SPEC)
    save_file({"x_embedder.proj.weight": torch.zeros(4, 4)}, file_of(tiny))
    with pytest.raises(ConfigError, match="a checkpoint of another model"):
        tiny.build(SPEC)


def test_another_size(tiny: OpenSoraVaeConfig) -> None:
    wider = {**tiny.temporal.model_dump(), "filters": 16}
    with pytest.raises(ConfigError, match=r"of another shape.*correct the config that says its size"):
        OpenSoraVaeConfig.model_validate(tiny.model_dump() | {"temporal": wider}).build(SPEC)
