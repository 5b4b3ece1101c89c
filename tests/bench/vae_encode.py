"""Encoding of clips by the paper's video codec, where its weights are at hand."""

from __future__ import annotations

from typing import Any

import torch
from meter import Meter

import uniform_core.codecs as codecs
from uniform_core.errors import UniformError
from uniform_core.seeds import torch_generator
from uniform_core.spec import AVSpec

CONFIG = "OpenSoraVaeConfig"
SPEC = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)


def measure_vae(weights: str, meter: Meter, *, runs: int) -> dict[str, Any]:
    """Clips a second of 68 frames of 256 x 256; or why there is no number."""
    row: dict[str, Any] = {"what": "video encode", "form": "opensora"}
    config = getattr(codecs, CONFIG, None)
    if config is None:
        return row | {"skipped": f"uniform_core.codecs has no {CONFIG}"}
    dtype = "bfloat16" if meter.is_cuda else "float32"
    try:
        codec = config(weights=weights, device=meter.device.type, dtype=dtype).build(SPEC)
    except UniformError as error:
        return row | {"skipped": str(error)}
    pixels_BCTHW = torch.rand(1, *SPEC.pixel_shape_CTHW, generator=torch_generator("bench.vae")) * 2 - 1

    def work() -> None:
        with torch.inference_mode():
            codec.encode(pixels_BCTHW.to(meter.device))

    measured = meter.measure(work, runs=runs)
    return row | {
        "clips_per_s": 1 / measured.seconds,
        "s_per_clip": measured.seconds,
        "peak_bytes": measured.peak_bytes,
    }
