"""Sound on a timeline: pieces placed by their pts, holes known, windows cut exactly or resampled.

Axes: N samples, which are numbers (mono) or rows of channels, the same in every piece. Memory is bounded: what no
window can ask for any more is forgotten.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import av
import numpy as np

from uniform_core.media.refusal import Refused

JITTER_S = 0.02
"""Containers round pts and encoders drift: closer than this a piece follows the one before without a seam."""
MARGIN_S = 0.05
"""Sound around a window that the resampling filter sees."""
MAX_SAMPLES = 60_000_000


@dataclass(frozen=True)
class SoundCut:
    """The sound of one window, and how many seconds of it the source does not have (they are silence)."""

    waveform_N: np.ndarray  # float32
    late_s: float  # missing at the start
    lost_s: float  # missing inside
    short_s: float  # missing at the end


class SoundTrack:
    """The sound of a source, on the source's own clock, at the source's rate."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._pieces: deque[tuple[int, np.ndarray]] = deque()
        self._held = 0
        self._end: int | None = None

    @property
    def end_s(self) -> float:
        """Where the sound ends that was read so far; minus infinity before the first piece."""
        return float("-inf") if self._end is None else self._end / self.rate_hz

    def push(self, time_s: float, samples_N: np.ndarray, *, anew: bool) -> None:
        """Place a piece by its time; `anew` where the piece before it is lost. Overlap keeps what came first.

        Raises Refused where sound runs ahead of the picture further than memory allows.
        """
        index = round(time_s * self.rate_hz)
        if self._end is not None:
            if not anew and abs(index - self._end) <= JITTER_S * self.rate_hz:
                index = self._end
            fresh_N = samples_N[max(0, self._end - index) :]
            index += len(samples_N) - len(fresh_N)
        else:
            fresh_N = samples_N
        if not len(fresh_N):
            return
        self._pieces.append((index, fresh_N))
        self._end = index + len(fresh_N)
        self._held += fresh_N.size
        if self._held > MAX_SAMPLES:
            ahead_s = (self._end - self._pieces[0][0]) / self.rate_hz
            raise Refused("not_interleaved", f"picture and sound together expected, {ahead_s:.0f} s of sound ahead")

    def forget(self, before_s: float) -> None:
        """Drop what lies before a time."""
        limit = (before_s - MARGIN_S) * self.rate_hz - 1
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) < limit:
            self._held -= self._pieces.popleft()[1].size

    def cut(self, start_s: float, duration_s: float, *, rate_hz: int) -> SoundCut:
        """The mono sound of a window at another rate, `duration_s * rate_hz` samples."""
        first = round((start_s - MARGIN_S) * self.rate_hz)
        around_N = self._between(first, first + round((duration_s + 2 * MARGIN_S) * self.rate_hz) + 1)
        count = round(duration_s * rate_hz)
        resampled_N = resample(around_N, self.rate_hz, to_hz=rate_hz)
        offset = round((start_s - first / self.rate_hz) * rate_hz)
        waveform_N = resampled_N[offset : offset + count]
        waveform_N = np.pad(waveform_N, (0, count - len(waveform_N)))
        return self._cut(waveform_N, start_s, start_s + duration_s)

    def exact(self, start_s: float, end_s: float) -> SoundCut:
        """The sound of a window, every sample as it is."""
        first, end = round(start_s * self.rate_hz), round(end_s * self.rate_hz)
        return self._cut(self._between(first, end), start_s, end_s)

    def _between(self, first: int, end: int) -> np.ndarray:
        """The samples from `first` to before `end`, zeros where the source has none."""
        shape = self._pieces[0][1].shape[1:] if self._pieces else ()
        around_N = np.zeros((end - first, *shape), dtype=np.float32)
        for index, piece_N in self._pieces:
            low, high = max(index, first), min(index + len(piece_N), end)
            if low < high:
                around_N[low - first : high - first] = piece_N[low - index : high - index]
        return around_N

    def _cut(self, waveform_N: np.ndarray, start_s: float, end_s: float) -> SoundCut:
        """The sound of a window, with how much of it is missing where."""
        begin, end = round(start_s * self.rate_hz), round(end_s * self.rate_hz)
        late, lost, reached = 0, 0, begin
        for index, piece_N in self._pieces:
            hole = min(index, end) - reached
            if hole > 0 and index + len(piece_N) > begin:
                late, lost = (hole, lost) if reached == begin else (late, lost + hole)
            reached = max(reached, min(index + len(piece_N), end))
        short = end - reached
        return SoundCut(waveform_N, late / self.rate_hz, lost / self.rate_hz, short / self.rate_hz)


def resample(samples_N: np.ndarray, rate_hz: int, *, to_hz: int) -> np.ndarray:
    """Mono float32 sound at another rate, sample 0 at the same moment (swresample's windowed sinc)."""
    if rate_hz == to_hz or not len(samples_N):
        return samples_N
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=to_hz)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples_N[None]), format="fltp", layout="mono")
    frame.rate, frame.pts = rate_hz, 0
    pieces = [piece.to_ndarray()[0] for part in (frame, None) for piece in resampler.resample(part)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
