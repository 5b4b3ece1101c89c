"""The temporal VAE is Open-Sora's, to float rounding, on every golden folder; its names are the checkpoint's."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden_data import COPY, golden_arrays, golden_folders, golden_json, golden_state, numpy_arrays
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uniform_core.codecs import OpenSoraVaeConfig
from uniform_core.codecs.opensora_vae_net import OpenSoraVae, OpenSoraVaeCodec
from uniform_core.codecs.vae_sizes import SpatialVaeSize, TemporalVaeSize
from uniform_core.codecs.vae_temporal import TemporalVae

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}  # the README's
FOLDERS = golden_folders("vae_temporal")
MOMENTS = ("mean", "logvar", "decoded_from_mean")


def names(folder: Path, pattern: str) -> list[str]:
    """What the one group of a pattern is in the names of a folder's outputs, each once."""
    found = (re.fullmatch(pattern, name) for name in numpy_arrays(folder / "outputs.npz"))
    return list(dict.fromkeys(match[1] for match in found if match))


def cases(folder: Path) -> list[str]:
    """The inputs that are encoded and decoded whole."""
    return names(folder, r"(.*)\.mean")


def traced(folder: Path) -> list[str]:
    """Those of which the values inside the network are there."""
    return names(folder, rf"(x\d+)\.(?!{'|'.join(MOMENTS)}).*")


def pipes(folder: Path) -> list[str]:
    """The numbers of frames of the inputs that are encoded chunk by chunk."""
    return names(folder, r"pipe(\d+)\..*")


def each(of: Callable[[Path], list[str]]) -> pytest.MarkDecorator:
    """Every folder with each of its names."""
    rows = [pytest.param(folder, name, id=f"{folder.name}-{name}") for folder in FOLDERS for name in of(folder)]
    return pytest.mark.parametrize(("folder", "name"), rows)


class Golden:
    """A folder: its arrays, and our network with its weights."""

    def __init__(self, folder: Path) -> None:
        self.values = golden_json(folder / "config.json")
        config = self.values["config"]
        self.x, self.out = golden_arrays(folder / "inputs.npz"), golden_arrays(folder / "outputs.npz")
        assert config["in_out_channels"] == config["latent_embed_dim"] == config["embed_dim"]
        self.channels = config["embed_dim"]
        self.size = TemporalVaeSize(
            filters=config["filters"],
            multipliers=tuple(config["channel_multipliers"]),
            halves_time=tuple(config["temporal_downsample"]),
            res_blocks=config["num_res_blocks"],
            groups=config["num_groups"],
            chunk_frames=self.values["micro_frame_size"],
        )
        self.vae = TemporalVae(self.size, channels=self.channels).eval()
        self.vae.load_state_dict(golden_state(folder), strict=True)


@functools.cache
def golden(folder: Path) -> Golden:
    return Golden(folder)


def recorded(vae: TemporalVae) -> tuple[dict[str, Tensor], list[torch.utils.hooks.RemovableHandle]]:
    """What the named parts return while the network runs."""
    encoder, decoder = vae.encoder, vae.decoder
    parts: dict[str, nn.Module] = {
        "enc_conv_in": encoder.conv_in,
        "enc_down1": encoder.conv_blocks[1],
        "enc_down2": encoder.conv_blocks[2],
        "enc_conv2": encoder.conv2,
        "quant_conv": vae.quant_conv,
        "post_quant_conv": vae.post_quant_conv,
        "dec_conv1": decoder.conv1,
        "dec_up2_before_shuffle": decoder.conv_blocks[2],
        "dec_up1_before_shuffle": decoder.conv_blocks[1],
        "dec_conv_out": decoder.conv_out,
    }
    seen: dict[str, Tensor] = {}

    def keep(name: str, _part: nn.Module, _inputs: object, output: Tensor) -> None:
        seen[name] = output

    return seen, [part.register_forward_hook(functools.partial(keep, name)) for name, part in parts.items()]


@each(cases)
@torch.no_grad()
def test_posterior_and_decoded(folder: Path, name: str) -> None:
    g = golden(folder)
    x = g.x[name]
    posterior = g.vae.encode(x)
    torch.testing.assert_close(posterior.mean_BCTHW, g.out[f"{name}.mean"], **TOLERANCE)
    torch.testing.assert_close(posterior.logvar_BCTHW, g.out[f"{name}.logvar"], **TOLERANCE)
    decoded = g.vae.decode(posterior.mean_BCTHW, frames=x.shape[2])
    torch.testing.assert_close(decoded, g.out[f"{name}.decoded_from_mean"], **TOLERANCE)


@each(traced)
@torch.no_grad()
def test_every_recorded_part(folder: Path, name: str) -> None:
    g = golden(folder)
    seen, hooks = recorded(g.vae)
    try:
        g.vae.decode(g.vae.encode(g.x[name]).mean_BCTHW, frames=g.x[name].shape[2])
    finally:
        for hook in hooks:
            hook.remove()
    compared = {array.removeprefix(f"{name}.") for array in g.out if array.startswith(f"{name}.")}
    assert compared - set(MOMENTS) == set(seen)
    for part, value in seen.items():
        expected = g.out[f"{name}.{part}"]
        torch.testing.assert_close(value, expected, **TOLERANCE, msg=lambda text, part=part: f"{part}: {text}")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
@torch.no_grad()
def test_logvar_is_clamped(folder: Path) -> None:
    g = golden(folder)
    vae = TemporalVae(g.size, channels=g.channels)
    far = torch.where(torch.arange(g.channels) % 2 == 0, 1e3, -1e3)
    vae.quant_conv.conv.bias[g.channels :] = far
    logvar = vae.encode(g.x[cases(folder)[-1]]).logvar_BCTHW
    assert torch.equal(logvar[:, far > 0], torch.full_like(logvar[:, far > 0], 20.0))
    assert torch.equal(logvar[:, far < 0], torch.full_like(logvar[:, far < 0], -30.0))


@each(pipes)
@torch.no_grad()
def test_a_clip_of_several_chunks_with_shift_and_scale(folder: Path, name: str) -> None:
    g = golden(folder)
    assert g.size.latent_frames(g.size.chunk_frames) == g.values["micro_z_frame_size"]
    network = OpenSoraVae(SpatialVaeSize(channels=g.channels, widths=(8,), groups=4), g.size)
    network.temporal_vae = g.vae
    network.shift.copy_(torch.tensor(g.values["shift"]).view(1, -1, 1, 1, 1))
    network.scale.copy_(torch.tensor(g.values["scale"]).view(1, -1, 1, 1, 1))
    x = g.x[f"x{name}"]
    chunks = g.size.chunks(x.shape[2])
    latent = torch.cat([network.encode_chunk(x[:, :, at]) for at, _ in chunks], dim=2)
    torch.testing.assert_close(latent, g.out[f"pipe{name}.z_normalised"], **TOLERANCE)
    parts = [network.decode_chunk(latent[:, :, into], frames=at.stop - at.start) for at, into in chunks]
    torch.testing.assert_close(torch.cat(parts, dim=2), g.out[f"pipe{name}.decoded"], **TOLERANCE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_nothing_in_a_folder_is_left_out(folder: Path) -> None:
    """Each output belongs to an input that one of the tests above reads."""
    inputs = {*cases(folder), *traced(folder), *(f"x{frames}" for frames in pipes(folder))}
    assert inputs == set(golden(folder).x)
    assert pipes(folder)
    assert traced(folder)
    parts = {array.rpartition(".")[0] for array in golden(folder).out}
    assert parts == {*cases(folder), *(f"pipe{frames}" for frames in pipes(folder))}


def test_names_and_shapes_at_the_papers_size() -> None:
    table = golden_json(COPY / "opensora_vae_v12_spec.json")
    expected = {name: tuple(entry["shape"]) for name, entry in table.items()}
    network = real_network()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == expected
    assert len(expected) == 517
    assert {str(value.dtype) for value in network.state_dict().values()} == {"torch.float32"}
    assert count(network.spatial_vae) == 83_653_863
    assert count(network.temporal_vae) == 309_687_144


@torch.no_grad()
def test_operations_of_the_papers_clip() -> None:
    """facts/performance.md A4: 27.2 TFLOP to encode 68 frames of 256 x 256, 52.1 to decode them."""
    config, network = OpenSoraVaeConfig(), real_network()
    codec = OpenSoraVaeCodec(
        network, spatial=config.spatial, temporal=config.temporal, frames=68, micro_batch=config.micro_batch
    )
    counted = {}
    for way, value in (("encode", torch.empty(1, 3, 68, 256, 256)), ("decode", torch.empty(1, 4, 20, 32, 32))):
        with FlopCounterMode(display=False) as counter:
            output = getattr(codec, way)(value.to("meta"))
        counted[way] = (tuple(output.shape), counter.get_total_flops() / 1e12)
    assert counted["encode"] == ((1, 4, 20, 32, 32), pytest.approx(27.2, abs=0.1))
    assert counted["decode"] == ((1, 3, 68, 256, 256), pytest.approx(52.1, abs=0.1))


def real_network() -> OpenSoraVae:
    config = OpenSoraVaeConfig()
    with torch.device("meta"):
        return OpenSoraVae(config.spatial, config.temporal)


def count(part: nn.Module) -> int:
    return sum(weight.numel() for weight in part.parameters())
