"""AudioLDM's VAE against the reference's numbers, names and shapes, on every golden folder and in every file format."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_data import COPY, golden_arrays, golden_folders, golden_json, golden_state, golden_table
from safetensors.torch import save_file
from torch import Tensor

from uniform_core.codecs import AudioLdmVaeConfig
from uniform_core.codecs.audioldm_vae_net import AudioLdmVaeCodec, build_network, present_name
from uniform_core.codecs.mel import LOG_MEL_FLOOR
from uniform_core.spec import AVSpec

ATOL = 1e-4  # the README's; two independent implementations differ by less than 1e-5
FOLDERS = golden_folders("audio_vae")
NAME_TABLES = {"audio_vae_seed0": (156, 2), "audio_vae_full_names": (204, 3)}  # names, levels


def state_of(folder: Path) -> dict[str, Tensor]:
    """The folder's weights by diffusers' names."""
    return golden_state(folder, "spec_diffusers.json")


def config_of(folder: Path, weights: Path, **change: Any) -> AudioLdmVaeConfig:
    values = golden_json(folder / "config.json")
    return AudioLdmVaeConfig(
        weights=str(weights),
        channels=values["latent_channels"],
        widths=tuple(values["block_out_channels"]),
        layers=values["layers_per_block"],
        groups=values["norm_num_groups"],
        n_mels=mel_of(folder).shape[3],
        device="cpu",
        **change,
    )


def built(config: AudioLdmVaeConfig, *, mel_frames: int) -> AudioLdmVaeCodec:
    """The codec for clips of so many mel frames."""
    rate_hz = config.audio_rate_hz // config.hop
    spec = AVSpec(
        duration_s=mel_frames / rate_hz,
        video_rate_hz=rate_hz,
        height_px=8,
        width_px=8,
        canonical_short_side_px=8,
        n_mels=config.n_mels,
    )
    codec = config.build(spec)
    assert isinstance(codec, AudioLdmVaeCodec)
    return codec


def mel_of(folder: Path) -> Tensor:
    return golden_arrays(folder / "io.npz")["mel"]


def in_diffusers_form(folder: Path, out: Path) -> Path:
    (out / "vae").mkdir(parents=True)
    shutil.copy(folder / "config.json", out / "vae" / "config.json")
    save_file(state_of(folder), out / "vae" / "diffusion_pytorch_model.safetensors")
    return out


def in_original_form(folder: Path) -> dict[str, Tensor]:
    """The folder's weights as a checkpoint of the whole AudioLDM names and shapes them."""
    state = state_of(folder)
    names: dict[str, str] = golden_table(folder, "original_to_diffusers.json")
    shapes = golden_table(folder, "spec_original.json")
    return {
        f"first_stage_model.{original}": state[present].reshape(shapes[original]["shape"])
        for original, present in names.items()
    }


def compare(codec: AudioLdmVaeCodec, folder: Path) -> None:
    """Raises AssertionError where the codec's numbers are not the folder's."""
    golden, factor = golden_arrays(folder / "io.npz"), golden_json(folder / "config.json")["scaling_factor"]
    near = {"rtol": 0, "atol": ATOL}
    assert codec.scaling_factor == factor
    mel_BTF = golden["mel"][:, 0]
    mean, logvar = codec.posterior(mel_BTF)
    torch.testing.assert_close(mean, golden["mean"], **near)
    torch.testing.assert_close(logvar, golden["logvar"], **near)
    torch.testing.assert_close(codec.encode(mel_BTF), golden["mean"] * factor, **near)
    noised = (mean + torch.exp(0.5 * logvar) * golden["eps"]) * factor
    torch.testing.assert_close(noised, golden["latent_scaled"], **near)
    for latent, recon in ((golden["latent_scaled"], "recon"), (golden["mean"] * factor, "recon_of_mode")):
        expected = golden[recon][:, 0].clamp(min=LOG_MEL_FLOOR)
        torch.testing.assert_close(codec.decode(latent), expected, **near)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
@pytest.mark.parametrize("form", ["diffusers", "audioldm", "vae_alone"])
def test_numbers(folder: Path, form: str, tmp_path: Path) -> None:
    change: dict[str, Any] = {}
    if form == "diffusers":
        weights = in_diffusers_form(folder, tmp_path)
    else:
        weights, named = tmp_path / "some.ckpt", in_original_form(folder)
        factor = golden_json(folder / "config.json")["scaling_factor"]
        if form == "audioldm":
            named |= {"scale_factor": torch.tensor(factor, dtype=torch.float64), "logvar": torch.zeros(1000)}
            named |= {"first_stage_model.vocoder.conv_pre.bias": torch.zeros(3), "model.out.bias": torch.zeros(3)}
        else:
            named = {name.removeprefix("first_stage_model."): tensor for name, tensor in named.items()}
            named |= {"loss.logvar": torch.zeros(()), "vocoder.conv_pre.bias": torch.zeros(3)}
            change = {"scaling_factor": factor}
        torch.save({"state_dict": named, "epoch": 3, "hyper_parameters": {"lr": 1e-4}}, weights)
    compare(built(config_of(folder, weights, **change), mel_frames=mel_of(folder).shape[2]), folder)


@pytest.mark.parametrize("table", NAME_TABLES)
def test_names_of_the_original_become_diffusers_by_rule(table: str) -> None:
    count, levels = NAME_TABLES[table]
    names = golden_json(COPY / table / "original_to_diffusers.json")
    assert len(names) == count
    assert {name: present_name(name, levels=levels) for name in names} == names
    assert {name: present_name(name, levels=levels) for name in names.values()} == {
        name: name for name in names.values()
    }


def test_the_full_size_has_the_published_names_and_shapes() -> None:
    network = build_network(AudioLdmVaeConfig(), device="meta")
    spec = golden_json(COPY / "audio_vae_full_names" / "spec_diffusers.json")
    assert {name: list(tensor.shape) for name, tensor in network.state_dict().items()} == {
        name: value["shape"] for name, value in spec.items()
    }
    assert len(spec) == 204
    assert sum(weight.numel() for weight in network.parameters()) == 55_376_873


def test_the_papers_clip_is_a_latent_of_8_x_100_x_16() -> None:
    paper = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)
    assert AudioLdmVaeConfig().latent_shape_CTF(paper) == (8, 100, 16)
    network = build_network(AudioLdmVaeConfig(), device="meta")
    mel_B1TF = torch.empty(1, 1, *paper.mel_shape_TF, device="meta")
    assert network.encode(mel_B1TF).latent_dist.mean.shape == (1, 8, 100, 16)
