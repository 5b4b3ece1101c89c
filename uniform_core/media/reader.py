"""Canonical clips read back: decord, which is exact on them and faster than PyAV. Axes: T, H, W, N samples.

decord leaks about 0.14 MB an open: who reads many clips replaces its process every 200 (the task pools do).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uniform_core.errors import IntegrityError
from uniform_core.media.forms import ResizeRule
from uniform_core.media.geometry import place

CHANNELS = 3


@dataclass(frozen=True)
class PickedFrames:
    """Some frames of a clip, uint8 [T, H, W, 3], and which they are of how many at which rate."""

    frames_THWC: np.ndarray
    indices: tuple[int, ...]
    clip_frames: int
    rate_hz: float


class CanonicalReader:
    """Reads canonical clips at one size. For files of other origin use `Sandbox.decode`: decord errs silently there."""

    def __init__(self) -> None:
        import cv2  # here: whoever only names the canonical form loads neither
        import decord

        self._cv2, self._decord = cv2, decord

    def read(self, path: Path, *, size_px: tuple[int, int], resize: ResizeRule) -> tuple[np.ndarray, np.ndarray]:
        """Every frame, uint8 [T, H, W, 3] at `size_px` (height, width), and the sound, float32 [N] in -1..1.

        Raises IntegrityError where the clip is missing or damaged.
        """
        frames_THWC = self.frames(path, None)
        resized_THWC = self.resize(frames_THWC, size_px=size_px, resize=resize)
        return resized_THWC, self.sound(path)

    def frames(self, path: Path, indices: Sequence[int] | None) -> np.ndarray:
        """The frames at these indices (None: all), uint8 [T, H, W, 3] at the clip's size. Raises IntegrityError."""
        with _translated(path):
            video = self._opened(path)
            return _taken(video, list(range(len(video)) if indices is None else indices))

    def picked(self, path: Path, pick: Callable[[int], Sequence[int]]) -> PickedFrames:
        """The frames that `pick` names of a clip with so many. Raises IntegrityError."""
        with _translated(path):
            video = self._opened(path)
            indices = tuple(pick(len(video)))
            return PickedFrames(_taken(video, list(indices)), indices, len(video), float(video.get_avg_fps()))

    def _opened(self, path: Path) -> Any:
        return self._decord.VideoReader(str(path), ctx=self._decord.cpu(0), num_threads=1)

    def sound(self, path: Path) -> np.ndarray:
        """The sound, float32 [N] in -1..1, exactly as written. Raises IntegrityError."""
        with _translated(path):
            audio = self._decord.AudioReader(str(path), ctx=self._decord.cpu(0), mono=True)
            return np.ascontiguousarray(audio[:].asnumpy()[0], dtype=np.float32)

    def resize(self, frames_THWC: np.ndarray, *, size_px: tuple[int, int], resize: ResizeRule) -> np.ndarray:
        """The frames at another size, by area when they shrink, bicubic when they grow."""
        if frames_THWC.shape[1:3] == size_px:
            return frames_THWC
        placement = place((frames_THWC.shape[1], frames_THWC.shape[2]), size_px, resize)
        shrinks = placement.scaled_HW[0] <= frames_THWC.shape[1]
        method = self._cv2.INTER_AREA if shrinks else self._cv2.INTER_CUBIC
        size_WH = placement.scaled_HW[::-1]
        out_THWC = np.empty((len(frames_THWC), *size_px, 3), dtype=np.uint8)
        for index, frame_HWC in enumerate(frames_THWC):
            out_THWC[index] = placement.apply(self._cv2.resize(frame_HWC, size_WH, interpolation=method), size_px)
        return out_THWC


def _taken(video: Any, wanted: list[int]) -> np.ndarray:
    if wanted and video[wanted[0]].shape[-1] != CHANNELS:
        return np.stack([_without_padding(video[index].asnumpy()) for index in wanted])
    return np.asarray(video.get_batch(wanted).asnumpy())


def _without_padding(rows_HWX: np.ndarray) -> np.ndarray:
    """A frame of a narrow clip: decord 0.6 takes the padding of its rows for further channels (48 px: 4 of them)."""
    height, width, _ = rows_HWX.shape
    return rows_HWX.reshape(height, -1)[:, : width * CHANNELS].reshape(height, width, CHANNELS)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """decord raises DECORDError, RuntimeError and IndexError; outside they are an IntegrityError."""
    if not path.is_file():
        raise _damaged(path, "no file")
    try:
        yield
    except (RuntimeError, IndexError) as error:
        raise _damaged(path, str(error)) from error
    except Exception as error:
        if type(error).__name__ != "DECORDError":  # its class is not public
            raise
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, found: str) -> IntegrityError:
    fix = "Run `uniform catalog verify`, then ingest its source again."
    said = " ".join(found.split())[-200:]
    return IntegrityError(str(path), expected="a whole canonical clip", found=said, fix=fix)
