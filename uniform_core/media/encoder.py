"""The bytes of a canonical clip: H.264 without B-frames in closed groups of 17, FLAC s16 mono, in mp4.

The same frames and samples give the same bytes: one thread, no clock in the file, no macroblock tree (x264 165 reads
memory for it that it has not written, and gives other bytes one time in twenty-five). FLAC because decord then returns
every sample exactly (AAC gives 64,512 inexact ones for 64,000).
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from uniform_core.files import fsync
from uniform_core.media.forms import CanonicalForm
from uniform_core.media.refusal import writing

GOP = 17
X264 = {
    "preset": "veryfast",
    "crf": "18",
    "bf": "0",
    "g": str(GOP),
    "keyint_min": str(GOP),
    "sc_threshold": "0",
    "threads": "1",
    "x264-params": "open-gop=0:mbtree=0",
}


class ClipEncoder:
    """One canonical clip in the making: frames one by one, then all the sound."""

    def __init__(self, size_WH: tuple[int, int], form: CanonicalForm) -> None:
        self._form = form
        self._buffer = io.BytesIO()
        self._container: Any = av.open(self._buffer, "w", format="mp4", container_options={"fflags": "+bitexact"})
        self._video: Any = self._container.add_stream("libx264", rate=form.video_rate_hz, options=X264)
        self._video.width, self._video.height = size_WH
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.colorspace = Colorspace.ITU601
        self._video.codec_context.color_range = ColorRange.MPEG
        self._audio: Any = self._container.add_stream("flac", rate=form.audio_rate_hz, layout="mono")
        self._audio.format = "s16"
        self._count, self._tick = 0, Fraction(1, form.video_rate_hz)

    def add(self, frame: av.VideoFrame) -> None:
        """Encode the next frame (yuv420p, of the clip's size)."""
        frame.pts, frame.time_base = self._count, self._tick
        frame.pict_type = 0  # a key frame of the source is no key frame here
        self._count += 1
        self._container.mux(self._video.encode(frame))

    def finish(self, samples_N: np.ndarray) -> bytes:
        """The whole file, with this sound (int16)."""
        self._container.mux(self._video.encode(None))
        sound = av.AudioFrame.from_ndarray(samples_N[None], format="s16", layout="mono")
        sound.rate, sound.pts, sound.time_base = (
            self._form.audio_rate_hz,
            0,
            Fraction(1, self._form.audio_rate_hz),
        )
        self._container.mux(self._audio.encode(sound))
        self._container.mux(self._audio.encode(None))
        self._container.close()
        return self._buffer.getvalue()

    def abandon(self) -> None:
        """Free the encoder of a clip that will not be."""
        self._container.close()


def quantise(waveform_N: np.ndarray) -> np.ndarray:
    """16-bit samples of a waveform in -1..1; louder is clipped."""
    return np.clip(np.rint(waveform_N * np.float32(32768)), -32768, 32767).astype(np.int16)


def write_synced(path: Path, data: bytes) -> None:
    """Bytes on disk before this returns. Raises OutputError; then nothing is left of them."""
    with writing(f"writing {path.name}"):
        try:
            path.write_bytes(data)
            fsync(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise
