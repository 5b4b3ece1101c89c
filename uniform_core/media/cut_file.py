"""The file of a clip that is cut from a video: an mp4 with H.264 at the video's own times and every sample as FLAC.

No B-frames and no lossy sound, so that the file needs no edit list: each reader then sees the first picture and the
first sample at 0. The same input gives the same bytes (one thread, no macroblock tree: see `encoder.py`).
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from uniform_core.files import fsync
from uniform_core.media.encoder import quantise
from uniform_core.media.refusal import writing

CLOCK_HZ = 90_000  # of pictures: that of MPEG, in which the common rates are whole numbers of ticks
X264 = {"preset": "veryfast", "crf": "18", "bf": "0", "threads": "1", "x264-params": "mbtree=0"}
LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.1")
"""The layouts that FLAC has; any other sound is folded into one channel."""


class CutFile:
    """One clip in the making, at a path of its own: pictures in order, then all the sound."""

    def __init__(
        self, path: Path, *, size_WH: tuple[int, int], rate_hz: Fraction, audio_rate_hz: int, layout: str
    ) -> None:
        self.path, self.frames = path, 0
        self._layout, self._audio_rate_hz = layout, audio_rate_hz
        self._lengths: dict[int, int] = {}
        self._last_pts = -1
        self._is_open = True
        with writing(f"writing {path.name}"):
            options = {"fflags": "+bitexact", "use_editlist": "0"}
            self._container: Any = av.open(f"file:{path}", "w", format="mp4", container_options=options)
            self._video: Any = self._container.add_stream("libx264", rate=rate_hz, options=X264)
            self._video.width, self._video.height = size_WH
            self._video.pix_fmt = "yuv420p"
            self._video.codec_context.time_base = Fraction(1, CLOCK_HZ)
            self._video.codec_context.colorspace = Colorspace.ITU601
            self._video.codec_context.color_range = ColorRange.MPEG
            self._audio: Any = self._container.add_stream("flac", rate=audio_rate_hz, layout=layout)
            self._audio.format = "s16"

    def add(self, frame: av.VideoFrame, *, start_s: float, end_s: float) -> None:
        """Show a picture (yuv420p, of the file's size) between two moments of the clip. Raises OutputError."""
        pts = round(start_s * CLOCK_HZ)
        if pts <= self._last_pts:  # two pictures within one tick
            return
        self._last_pts = pts
        self._lengths[pts] = max(1, round(end_s * CLOCK_HZ) - pts)
        frame.pts, frame.time_base = pts, Fraction(1, CLOCK_HZ)
        frame.pict_type = 0  # a key frame of the source is no key frame here
        self.frames += 1
        self._mux(self._video.encode(frame))

    def finish(self, sound_NC: np.ndarray) -> None:
        """The file is whole and on the disk, with this sound (float32 in -1..1). Raises OutputError."""
        self._mux(self._video.encode(None))
        frame = av.AudioFrame.from_ndarray(quantise(sound_NC).reshape(1, -1), format="s16", layout=self._layout)
        frame.rate, frame.pts, frame.time_base = self._audio_rate_hz, 0, Fraction(1, self._audio_rate_hz)
        with writing(f"writing {self.path.name}"):
            self._container.mux(self._audio.encode(frame))
            self._container.mux(self._audio.encode(None))
            self._close()
            fsync(self.path)

    def abandon(self) -> None:
        """Nothing is left of the file."""
        try:
            with writing(f"writing {self.path.name}"):
                self._close()
        finally:
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._container.close()

    def _mux(self, packets: list[Any]) -> None:
        with writing(f"writing {self.path.name}"):
            for packet in packets:
                packet.duration = self._lengths.pop(packet.pts, packet.duration)
                self._container.mux(packet)
