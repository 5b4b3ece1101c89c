"""The temporal VAE is Open-Sora's, to float rounding, on every golden folder; its names are the checkpoint's."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from golden_data import COPY, golden_arrays, golden_folders, golden_json, golden_state
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uniform_core.codecs import OpenSoraVaeConfig
from uniform_core.codecs.opensora_vae_net import OpenSoraVae, OpenSoraVaeCodec
from uniform_core.codecs.vae_sizes import SpatialVaeSize, TemporalVaeSize
from uniform_core.codecs.vae_temporal import TemporalVae

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}  # the README's
FOLDERS = golden_folders("vae_temporal")
CASES = ("x17", "x16", "x9", "x1")
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


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
        )
        self.vae = TemporalVae(self.size, channels=self.channels).eval()
        self.vae.load_state_dict(golden_state("vae_temporal", seed=self.values["seed"]), strict=True)


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


@each_folder
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_posterior_and_decoded(folder: Path, case: str) -> None:
    g = golden(folder)
    x = g.x[case]
    posterior = g.vae.encode(x)
    torch.testing.assert_close(posterior.mean_BCTHW, g.out[f"{case}.mean"], **TOLERANCE)
    torch.testing.assert_close(posterior.logvar_BCTHW, g.out[f"{case}.logvar"], **TOLERANCE)
    decoded = g.vae.decode(posterior.mean_BCTHW, frames=x.shape[2])
    torch.testing.assert_close(decoded, g.out[f"{case}.decoded_from_mean"], **TOLERANCE)


@each_folder
@torch.no_grad()
def test_every_recorded_part(folder: Path) -> None:
    g = golden(folder)
    seen, hooks = recorded(g.vae)
    try:
        g.vae.decode(g.vae.encode(g.x["x17"]).mean_BCTHW, frames=17)
    finally:
        for hook in hooks:
            hook.remove()
    compared = {name.removeprefix("x17.") for name in g.out if name.startswith("x17.")}
    assert compared - {"mean", "logvar", "decoded_from_mean"} == set(seen)
    for name, value in seen.items():
        expected = g.out[f"x17.{name}"]
        torch.testing.assert_close(value, expected, **TOLERANCE, msg=lambda text, name=name: f"{name}: {text}")


@torch.no_grad()
def test_logvar_is_clamped() -> None:
    g = golden(FOLDERS[0])
    vae = TemporalVae(g.size, channels=g.channels)
    vae.quant_conv.conv.bias[g.channels :] = torch.tensor([1e3, -1e3, 1e3, -1e3])
    logvar = vae.encode(g.x["x1"]).logvar_BCTHW
    assert torch.equal(logvar[:, 0::2], torch.full_like(logvar[:, 0::2], 20.0))
    assert torch.equal(logvar[:, 1::2], torch.full_like(logvar[:, 1::2], -30.0))


@each_folder
@torch.no_grad()
def test_a_clip_of_three_chunks_with_shift_and_scale(folder: Path) -> None:
    g = golden(folder)
    assert (g.values["micro_frame_size"], g.values["micro_z_frame_size"]) == (17, g.size.latent_frames(17))
    network = OpenSoraVae(SpatialVaeSize(channels=g.channels, widths=(8,), groups=4), g.size)
    network.temporal_vae = g.vae
    network.shift.copy_(torch.tensor(g.values["shift"]).view(1, -1, 1, 1, 1))
    network.scale.copy_(torch.tensor(g.values["scale"]).view(1, -1, 1, 1, 1))
    x = g.x["x39"]
    chunks = g.size.chunks(39)
    latent = torch.cat([network.encode_chunk(x[:, :, at]) for at, _ in chunks], dim=2)
    torch.testing.assert_close(latent, g.out["pipe39.z_normalised"], **TOLERANCE)
    lengths = [at.stop - at.start for at, _ in chunks]
    parts = [
        network.decode_chunk(latent[:, :, into], frames=frames)
        for (_, into), frames in zip(chunks, lengths, strict=True)
    ]
    torch.testing.assert_close(torch.cat(parts, dim=2), g.out["pipe39.decoded"], **TOLERANCE)


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
