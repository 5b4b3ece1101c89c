"""A miniature of AudioLDM's VAE, saved by diffusers' own class as the published one is."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL

from uniform_core.codecs import AudioLdmVaeConfig
from uniform_core.codecs.mel import LOG_MEL_FLOOR
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
SCALING_FACTOR = 0.75


def tiny_audioldm_vae(folder: Path, *, spec: AVSpec = SPEC) -> AudioLdmVaeConfig:
    """The config of a VAE whose random weights are in `folder/vae`, for the log-mels of a spec; silence comes back."""
    config = AudioLdmVaeConfig(
        weights=str(folder),
        channels=8,
        widths=(4, 8, 8),
        layers=1,
        groups=4,
        audio_rate_hz=spec.audio_rate_hz,
        n_fft=spec.n_fft,
        hop=spec.hop,
        n_mels=spec.n_mels,
        f_max_hz=spec.f_max_hz,
        device="cpu",
    )
    network = tiny_network(config)
    silence_B1TF = torch.full((1, 1, *spec.mel_shape_TF), LOG_MEL_FLOOR)
    with torch.no_grad():
        network.decoder.conv_out.weight *= 0.2
        made = network.decode(network.encode(silence_B1TF).latent_dist.mean).sample
        network.decoder.conv_out.bias += LOG_MEL_FLOOR - made.mean()
    network.save_pretrained(folder / "vae")
    return config


def tiny_network(config: AudioLdmVaeConfig) -> AutoencoderKL:
    """Diffusers' network in a config's sizes with random weights, the same every time."""
    levels = len(config.widths)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return AutoencoderKL(
            in_channels=1,
            out_channels=1,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=config.widths,
            layers_per_block=config.layers,
            latent_channels=config.channels,
            norm_num_groups=config.groups,
            scaling_factor=SCALING_FACTOR,
        ).eval()
