"""A miniature of AudioLDM's HiFi-GAN, saved by transformers' own class as the published one is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from uniform_core.codecs import HifiGanConfig
from uniform_core.codecs.mel import LOG_MEL_FLOOR
from uniform_core.seeds import torch_generator
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)


def tiny_hifigan(folder: Path, *, spec: AVSpec = SPEC) -> HifiGanConfig:
    """The config of a vocoder whose random weights are in `folder/vocoder`; what it makes of silence is silent."""
    rates = tuple(prime_factors(spec.hop))
    config = HifiGanConfig(
        weights=str(folder),
        upsample_rates=rates,
        upsample_kernels=tuple(2 * rate + (rate + 1) % 2 for rate in rates),  # they leave samples over, as the real
        initial_channels=2 << len(rates),
        resblock_kernels=(3, 5),
        resblock_dilations=((1, 3), (1, 2)),
        n_mels=spec.n_mels,
        audio_rate_hz=spec.audio_rate_hz,
        device="cpu",
    )
    network = tiny_network(config)
    network.save_pretrained(folder / "vocoder")
    return config


def tiny_network(config: HifiGanConfig) -> SpeechT5HifiGan:
    """Transformers' network in a config's sizes; without biases, but for one that makes the floor of a mel a zero."""
    network = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=config.n_mels,
            sampling_rate=config.audio_rate_hz,
            upsample_rates=list(config.upsample_rates),
            upsample_kernel_sizes=list(config.upsample_kernels),
            upsample_initial_channel=config.initial_channels,
            resblock_kernel_sizes=list(config.resblock_kernels),
            resblock_dilation_sizes=[list(dilations) for dilations in config.resblock_dilations],
            normalize_before=False,
        )
    )
    generator = torch_generator("test.hifigan")
    with torch.no_grad():
        for name, value in network.named_parameters():
            fan_in = max(1, value[0].numel())
            value.copy_(torch.randn(value.shape, generator=generator) / fan_in**0.5 if "weight" in name else value * 0)
        first = network.conv_pre
        first.weight[:, :, : first.kernel_size[0] // 2] = 0  # its edges are padded with zeros, which are loud
        first.weight[:, :, first.kernel_size[0] // 2 + 1 :] = 0
        first.weight *= 0.1
        first.bias.copy_(-LOG_MEL_FLOOR * first.weight.sum(dim=(1, 2)))
    return network.eval()


def prime_factors(number: int) -> Iterator[int]:
    """The prime factors of a number, the largest first.

    >>> list(prime_factors(250))
    [5, 5, 5, 2]
    """
    for factor in sorted((n for n in range(2, number + 1) if number % n == 0), reverse=True):
        is_prime = all(factor % n for n in range(2, factor))
        while is_prime and number % factor == 0:
            number //= factor
            yield factor
