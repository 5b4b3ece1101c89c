"""Canonical clips read back. Axes: T, H, W, N samples.

Pictures by decord, which is exact on them and faster than PyAV; sound by PyAV, which gives the same samples in a
quarter of the time. decord leaks 0.1 MB for each sound that it opens, and for a picture far less: who reads thousands
of clips replaces its process at times all the same (the task pools do).
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
        import av  # here: whoever only names the canonical form loads none of them
        import cv2
        import decord

        self._av, self._cv2, self._decord = av, cv2, decord

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
        with _translated(path), self._av.open(str(path)) as container:
            stream = container.streams.audio[0]
            stream.codec_context.thread_count = 1
            parts = [frame.to_ndarray() for frame in container.decode(stream)]
            samples_CN = np.concatenate(parts, axis=1) if parts else np.zeros((0, 0), np.int16)
        if len(samples_CN) != 1:
            raise _damaged(path, f"{len(samples_CN)} channels of sound where one belongs")
        is_whole = samples_CN.dtype == np.int16  # as canonical sound is
        sound_N: np.ndarray = samples_CN[0].astype(np.float32) / np.float32(32768 if is_whole else 1)
        return sound_N

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
    """decord raises DECORDError, RuntimeError and IndexError, PyAV FFmpegError; outside they are an IntegrityError."""
    if not path.is_file():
        raise _damaged(path, "no file")
    try:
        yield
    except (RuntimeError, IndexError) as error:
        raise _damaged(path, str(error)) from error
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        if not names & {"DECORDError", "FFmpegError"}:  # the first is not public, the second not loaded here
            raise
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, found: str) -> IntegrityError:
    fix = "Run `uniform catalog verify`, then ingest its source again."
    said = " ".join(found.split())[-200:]
    return IntegrityError(str(path), expected="a whole canonical clip", found=said, fix=fix)
