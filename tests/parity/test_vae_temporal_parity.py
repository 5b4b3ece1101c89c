"""The temporal VAE is Open-Sora's, to float rounding, on every golden folder; its names are the checkpoint's."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from golden_data import golden_arrays, golden_folders, golden_json, golden_state
from torch import Tensor, nn

from uniform_core.codecs.vae_sizes import TemporalVaeSize
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
