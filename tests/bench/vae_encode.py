"""Encoding of clips by the paper's video codec: by weights that are at hand, or by drawn ones, which are as fast."""

from __future__ import annotations

from typing import Any

import torch
from bench_vae import SIZES, Form, codec_of
from meter import Meter

from uniform_core.codecs import VideoCodec
from uniform_core.errors import UniformError
from uniform_core.seeds import torch_generator

DRAWN = "drawn"  # the word for them, in the place of a path
CHUNK = 17  # frames at a time, as in preset `paper`


def measure_vae(weights: str, meter: Meter, *, size: str, runs: int, compiled: bool) -> dict[str, Any]:
    """Clips a second; or why there is no number. `size` is that of drawn weights, one of `bench_vae`'s."""
    config, spec = SIZES[size if weights == DRAWN else "paper"]
    dtype = "bfloat16" if meter.is_cuda else "float32"
    form = Form(DRAWN, getattr(torch, dtype), CHUNK, channels_last=meter.is_cuda, compiled=compiled)
    clip = f"{spec.frames} x {spec.height_px} x {spec.width_px}"
    row: dict[str, Any] = {"what": "video encode", "form": DRAWN if weights == DRAWN else "opensora", "clip": clip}
    try:
        codec: VideoCodec
        if weights == DRAWN:
            codec = codec_of(config, spec, meter.device, form)
        else:
            places = {"weights": weights, "device": meter.device.type, "compiled": compiled}
            codec = config.model_copy(update={**places, "dtype": dtype, "micro_batch": CHUNK}).build(spec)
    except UniformError as error:
        return row | {"skipped": str(error)}
    pixels_BCTHW = torch.rand(1, *spec.pixel_shape_CTHW, generator=torch_generator("bench.vae")) * 2 - 1

    def work() -> None:
        with torch.inference_mode():
            codec.encode(pixels_BCTHW.to(meter.device))

    measured = meter.measure(work, runs=runs)
    return row | {
        "clips_per_s": 1 / measured.seconds,
        "s_per_clip": measured.seconds,
        "peak_bytes": measured.peak_bytes,
    }
