"""What a file is, measured: every picture and every sample decoded once, nothing kept. Axes: N samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from uniform_core.media.canonical import PROGRESS_S
from uniform_core.media.facts import Head, head_of
from uniform_core.media.forms import Limits
from uniform_core.media.geometry import canonical_size
from uniform_core.media.mono import to_mono
from uniform_core.media.opening import open_source
from uniform_core.media.picture import Motion, Scaler
from uniform_core.media.refusal import Refused
from uniform_core.media.results import MeasuredFile
from uniform_core.media.source import Picture, Sound, Source
from uniform_core.media.window import SILENT_PEAK

LOOK_PX = 64
"""Short side of the pictures whose motion is measured."""
ENOUGH_HEARD = 0.95
"""Which share of the sound must decode."""


def measure(path: Path, *, limits: Limits, longest_s: float | None, progress: Callable[[float], None]) -> MeasuredFile:
    """The measures of a file with picture and sound. Raises Refused, also for one that goes on after `longest_s`."""
    with open_source(path, limits) as source:
        meter = _Meter(source, head_of(source), longest_s=longest_s, progress=progress)
        meter.run()
        return meter.measured(path.stat().st_size)


class _Meter:
    """Running measures of a file; times are seconds on its timeline."""

    def __init__(
        self, source: Source, head: Head, *, longest_s: float | None, progress: Callable[[float], None]
    ) -> None:
        self._source, self._facts, self._zero_s = source, head.facts, head.zero_s
        self._longest_s, self._progress, self._told_s = longest_s, progress, 0.0
        self._size_WH = canonical_size(head.facts.width_px or 1, head.facts.height_px or 1, LOOK_PX)
        self._scaler, self._motion = Scaler("yuv420p", "fast_bilinear"), Motion()
        self._frames, self._first_s, self._picture_s = 0, head.facts.video_start_s or 0.0, 0.0
        self._samples, self._sound_s, self._peak, self._energy = 0, 0.0, 0.0, 0.0
        self._audio_rate_hz, self._channels = head.facts.audio_rate_hz, head.facts.channels

    def run(self) -> None:
        """Read the file once. Raises Refused."""
        for event in self._source.events():
            time_s = event.time_s - self._zero_s
            if self._longest_s is not None and time_s > self._longest_s:
                raise Refused("too_long", f"at most {self._longest_s:g} s expected, the file goes on after them")
            if time_s >= self._told_s + PROGRESS_S:
                self._told_s = time_s
                self._progress(time_s)
            self._hear(time_s, event) if isinstance(event, Sound) else self._see(time_s, event)
        if self._source.clocks.restart is not None:
            raise self._source.clocks.restart.refusal(self._zero_s)

    def _see(self, time_s: float, picture: Picture) -> None:
        self._frames += 1
        self._picture_s = time_s + picture.length_s
        self._motion.see(self._scaler.scale(picture.frame, self._size_WH), 1)

    def _hear(self, time_s: float, sound: Sound) -> None:
        frame = sound.frame
        if not self._samples:  # the header may be wrong, as that of HE-AAC is
            self._audio_rate_hz, self._channels = frame.sample_rate, frame.layout.nb_channels
        samples_N = to_mono(frame, "itu").astype(np.float64)
        self._samples += len(samples_N)
        self._sound_s = max(self._sound_s, time_s + frame.samples / frame.sample_rate)
        self._peak = max(self._peak, float(np.abs(samples_N).max(initial=0.0)))
        self._energy += float(samples_N @ samples_N)

    def measured(self, size_bytes: int) -> MeasuredFile:
        """The measures. Raises Refused where much of the sound does not decode."""
        facts, rate_hz = self._facts, self._audio_rate_hz or 1
        sounding_s = self._sound_s - (facts.audio_start_s or 0.0)
        if self._samples < ENOUGH_HEARD * sounding_s * rate_hz:
            found = f"{self._samples / rate_hz:.3f} s decode"
            raise Refused("lost_sound", f"{sounding_s:.3f} s of sound expected, {found}")
        rms = math.sqrt(self._energy / max(1, self._samples))
        return MeasuredFile(
            bytes=size_bytes,
            container=facts.container,
            duration_s=min(self._picture_s, self._sound_s),
            frames=self._frames,
            width_px=facts.width_px or 0,
            height_px=facts.height_px or 0,
            video_rate_hz=self._frames / (self._picture_s - self._first_s),
            video_codec=facts.video_codec or "unknown",
            audio_rate_hz=rate_hz,
            channels=self._channels or 1,
            audio_codec=facts.audio_codec or "unknown",
            audio_peak=self._peak,
            audio_rms_db=20 * math.log10(rms) if rms > 0 else None,
            motion=self._motion.mean,
            is_silent=self._peak < SILENT_PEAK,
            is_still=self._motion.is_still,
            decode_errors=self._source.budget.total,
        )
