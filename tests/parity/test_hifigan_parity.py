"""HiFi-GAN against the reference's waveforms, names and shapes, on every golden folder and in every file format."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from golden_data import golden_arrays, golden_folders, golden_json, golden_state, golden_table
from safetensors.torch import save_file
from torch import Tensor
from transformers import SpeechT5HifiGanConfig

from uniform_core.codecs import HifiGanConfig, Vocoder
from uniform_core.codecs.hifigan_net import build_network
from uniform_core.spec import AVSpec

ATOL = 1e-5  # the README's; with the same plain weights there is no difference at all, folding rounds by 2.4e-7
FOLDERS = golden_folders("hifigan")
IO = {"weightnorm": ("io.npz", "waveform_from_weightnorm"), "plain": ("io_plain.npz", "waveform")}
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


def state_of(folder: Path, kind: str) -> dict[str, Tensor]:
    """The folder's weights by the original's names."""
    return golden_state(folder, f"spec_original_{kind}.json")


def spec_of(folder: Path) -> AVSpec:
    """A clip in the hops and bins of the folder's vocoder, as many seconds as a hop has samples: whole hops fit."""
    values = golden_json(folder / "config.json")
    hop = math.prod(values["upsample_rates"])
    return AVSpec(
        duration_s=float(hop),
        video_rate_hz=17,
        height_px=256,
        width_px=256,
        canonical_short_side_px=360,
        hop=hop,
        n_mels=values["num_mels"],
    )


def samples_made(folder: Path, frames: int) -> int:
    """Samples that the folder's network makes of some frames: one more at each odd overlap of a kernel."""
    values = golden_json(folder / "config.json")
    samples = frames
    for rate, kernel in zip(values["upsample_rates"], values["upsample_kernel_sizes"], strict=True):
        samples = samples * rate + (kernel - rate) % 2
    return samples


def config_of(folder: Path, weights: Path, **change: str) -> HifiGanConfig:
    values = golden_json(folder / "config.json")
    sizes = {
        "upsample_rates": values["upsample_rates"],
        "upsample_kernels": values["upsample_kernel_sizes"],
        "initial_channels": values["upsample_initial_channel"],
        "resblock_kernels": values["resblock_kernel_sizes"],
        "resblock_dilations": values["resblock_dilation_sizes"],
        "n_mels": values["num_mels"],
    }
    return HifiGanConfig.model_validate({**sizes, "weights": str(weights), "device": "cpu", **change})


def in_transformers_form(folder: Path, out: Path) -> Path:
    """The folder's plain weights as the published `vocoder/` has them."""
    values = golden_json(folder / "config.json")
    bins = values.pop("num_mels")
    config = SpeechT5HifiGanConfig(model_in_dim=bins, normalize_before=False, **values)
    config.save_pretrained(out / "vocoder")
    plain = state_of(folder, "plain")
    state = {name.replace("ups.", "upsampler.") if name.startswith("ups.") else name: t for name, t in plain.items()}
    state |= {"mean": torch.zeros(bins), "scale": torch.ones(bins)}
    save_file(state, out / "vocoder" / "model.safetensors")
    return out


def compare(vocoder: Vocoder, folder: Path, kind: str) -> None:
    """Raises AssertionError where the vocoder's sound is not the folder's."""
    file, array = IO[kind]
    golden = golden_arrays(folder / file)
    mel_BTF, samples = golden["mel"], golden["mel"].shape[1] * spec_of(folder).hop
    assert golden[array].shape[1] == samples_made(folder, mel_BTF.shape[1])
    torch.testing.assert_close(vocoder.synthesise(mel_BTF), golden[array][:, :samples], rtol=0, atol=ATOL)


@each_folder
@pytest.mark.parametrize("compiled", ["", "_orig_mod."])
@pytest.mark.parametrize("kind", IO)
def test_waveforms_of_its_own_checkpoint(folder: Path, kind: str, compiled: str, tmp_path: Path) -> None:
    named = {compiled + name: tensor for name, tensor in state_of(folder, kind).items()}
    torch.save({"generator": named}, tmp_path / "hifigan.ckpt")
    compare(config_of(folder, tmp_path / "hifigan.ckpt").build(spec_of(folder)), folder, kind)


@each_folder
@pytest.mark.parametrize("before", ["first_stage_model.vocoder.", "vocoder."])
def test_waveforms_of_a_checkpoint_of_audioldm_or_of_its_vae(folder: Path, before: str, tmp_path: Path) -> None:
    named = {before + name: tensor for name, tensor in state_of(folder, "plain").items()}
    torch.save({"state_dict": named | {"encoder.conv_in.bias": torch.zeros(4)}}, tmp_path / "audioldm.ckpt")
    compare(config_of(folder, tmp_path / "audioldm.ckpt", part="state_dict").build(spec_of(folder)), folder, "plain")


@each_folder
def test_waveforms_of_transformers_folder(folder: Path, tmp_path: Path) -> None:
    compare(config_of(folder, in_transformers_form(folder, tmp_path)).build(spec_of(folder)), folder, "plain")


def test_the_full_size_has_the_published_count_of_names_and_weights() -> None:
    network = build_network(HifiGanConfig(), device="meta")
    assert len(network.state_dict()) == 196
    assert sum(weight.numel() for weight in network.parameters()) == 55_264_897


@each_folder
def test_a_small_one_has_the_references_names_and_shapes(folder: Path) -> None:
    spec = golden_table(folder, "spec_transformers.json")
    network = build_network(config_of(folder, folder), device="meta")
    assert {name: list(tensor.shape) for name, tensor in network.state_dict().items()} == {
        name: value["shape"] for name, value in spec.items()
    }
