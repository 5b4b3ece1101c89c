"""Pictures and films as data URIs, for a page without files beside it. Axes: T time, H height, W width, N samples."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import numpy as np

from uniform_core.corpus.pictures import png_of, viewing_scale
from uniform_core.media import write_mp4
from uniform_core.spec import AVSpec


def data_uri(data: bytes, kind: str) -> str:
    """The bytes as a URI that needs no file beside the page."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def png_uri(picture_HWC: np.ndarray) -> str:
    """An RGB picture, uint8."""
    return data_uri(png_of(picture_HWC), "image/png")


def mp4_uri(frames_THWC: np.ndarray, waveform_N: np.ndarray, spec: AVSpec) -> str:
    """A clip as an mp4 that every browser plays, small pictures enlarged without blur."""
    with tempfile.TemporaryDirectory(prefix="uniform-report-") as folder:
        path = write_mp4(
            Path(folder, "clip.mp4"),
            frames_THWC,
            waveform_N,
            video_rate_hz=spec.video_rate_hz,
            audio_rate_hz=spec.audio_rate_hz,
            scale=viewing_scale(*frames_THWC.shape[1:3]),
        )
        return data_uri(path.read_bytes(), "video/mp4")
