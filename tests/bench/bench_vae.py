"""The video codec's forms beside the plain one (float32, eager, frame by frame), with drawn weights: prints JSON lines.

    python tests/bench/bench_vae.py [--size cpu|paper] [--device cpu|cuda] [--runs N] [--decode]

Each line has clips/s of the spec, TFLOP/s, the ratio to the plain form, and on a GPU the peak of its memory.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from uniform_core.codecs import OpenSoraVaeConfig
from uniform_core.codecs.opensora_vae_net import SPATIAL_SCALING, OpenSoraVae, OpenSoraVaeCodec
from uniform_core.codecs.vae_sizes import SpatialVaeSize, TemporalVaeSize
from uniform_core.spec import AVSpec

PAPER = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)
SMALL = AVSpec(duration_s=2.0, video_rate_hz=17, height_px=64, width_px=64, canonical_short_side_px=64)
SIZES = {
    "paper": (OpenSoraVaeConfig(), PAPER),
    "cpu": (
        OpenSoraVaeConfig(
            spatial=SpatialVaeSize(widths=(32, 32, 64, 64), layers=1, groups=16),
            temporal=TemporalVaeSize(filters=32, res_blocks=1, groups=16),
        ),
        SMALL,
    ),
}


@dataclass(frozen=True)
class Form:
    """One way to compute the same."""

    name: str
    dtype: torch.dtype = torch.float32
    micro_batch: int = 4
    channels_last: bool = False
    compiled: bool = False


FORMS = (
    Form("micro-batches of 4"),
    Form("channels-last", channels_last=True),
    Form("bfloat16", dtype=torch.bfloat16),
    Form("bfloat16, channels-last", dtype=torch.bfloat16, channels_last=True),
    Form("bfloat16, channels-last, chunks", dtype=torch.bfloat16, channels_last=True, micro_batch=17),
    Form("bfloat16, channels-last, chunks, compiled", torch.bfloat16, 17, channels_last=True, compiled=True),
)


def codec_of(config: OpenSoraVaeConfig, spec: AVSpec, device: torch.device, form: Form) -> OpenSoraVaeCodec:
    """A codec with drawn weights."""
    with device:
        network = OpenSoraVae(config.spatial, config.temporal).eval().requires_grad_(False)
    return OpenSoraVaeCodec(
        network.place(device, form.dtype, channels_last=form.channels_last, compiled=form.compiled),
        spatial=config.spatial,
        temporal=config.temporal,
        frames=spec.frames,
        micro_batch=form.micro_batch,
    )


def plain_encode(network: OpenSoraVae, video_BCTHW: Tensor, config: OpenSoraVaeConfig) -> Tensor:
    """What a first version would do: diffusers' own encode of one frame after the other, then the 3-D part."""
    vae = network.spatial_vae.module
    frames = [vae.encode(frame).latent_dist.mean * SPATIAL_SCALING for frame in video_BCTHW[0].transpose(0, 1).split(1)]
    latent_BCTHW = torch.cat(frames).transpose(0, 1)[None]
    chunks = config.temporal.chunks(video_BCTHW.shape[2])
    return torch.cat([network.encode_chunk(latent_BCTHW[:, :, at]) for at, _ in chunks], dim=2)


def plain_decode(network: OpenSoraVae, latent_BCTHW: Tensor, config: OpenSoraVaeConfig, frames: int) -> Tensor:
    """The 3-D part, then diffusers' own decode of one frame after the other."""
    parts = [
        network.decode_chunk(latent_BCTHW[:, :, into], frames=at.stop - at.start)
        for at, into in config.temporal.chunks(frames)
    ]
    scaled = torch.cat(parts, dim=2)[0].transpose(0, 1) / SPATIAL_SCALING
    return torch.cat([network.spatial_vae.module.decode(frame).sample for frame in scaled.split(1)])


def operations(config: OpenSoraVaeConfig, spec: AVSpec, value: Tensor, *, decode: bool) -> float:
    """Floating-point operations of a clip, counted by torch without computing them."""
    codec = codec_of(config, spec, torch.device("meta"), Form("count"))
    with FlopCounterMode(display=False) as counter:
        (codec.decode if decode else codec.encode)(value.to("meta"))
    return float(counter.get_total_flops())


def seconds(work: Callable[[], Any], device: torch.device, *, runs: int) -> float:
    """The median of some runs after two that warm up."""
    taken = []
    for _ in range(2 + runs):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return sorted(taken[2:])[runs // 2]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="cpu")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--decode", action="store_true", help="latents to pixels instead")
    asked = parser.parse_args()
    (config, spec), device = SIZES[asked.size], torch.device(asked.device)
    torch.manual_seed(0)
    shape = config.latent_shape_CTHW(spec) if asked.decode else spec.pixel_shape_CTHW
    value = torch.rand(1, *shape, device=device) * 2 - 1
    count = operations(config, spec, value, decode=asked.decode)
    network = codec_of(config, spec, device, Form("plain")).network

    def plain() -> Tensor:
        with torch.no_grad():
            if asked.decode:
                return plain_decode(network, value, config, spec.frames)
            return plain_encode(network, value, config)

    plain_s = report("plain", plain, device, runs=asked.runs, count=count, plain_s=None)
    del network
    for form in FORMS:
        codec = codec_of(config, spec, device, form)
        way = codec.decode if asked.decode else codec.encode
        report(form.name, lambda way=way: way(value), device, runs=asked.runs, count=count, plain_s=plain_s)


def report(
    name: str, work: Callable[[], Tensor], device: torch.device, *, runs: int, count: float, plain_s: float | None
) -> float:
    """Seconds of a form, after its line was printed."""
    is_gpu = device.type == "cuda"
    if is_gpu:
        torch.cuda.reset_peak_memory_stats()
    taken = seconds(work, device, runs=runs)
    line = {
        "form": name,
        "clips_per_s": round(1 / taken, 3),
        "tflop_per_s": round(count / taken / 1e12, 3),
        "times_plain": round((plain_s or taken) / taken, 2),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2) if is_gpu else None,
    }
    print(json.dumps(line), flush=True)
    return taken


if __name__ == "__main__":
    main()
