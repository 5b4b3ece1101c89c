"""Motion of a video: mean length of Farneback's optical flow, frame by frame. OpenCV's arithmetic, as AV-align's."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32

BLOCK_PX = 8
STILL_LEVELS = 6.0  # a clip that moves less is still: compression flickers less, things that move more


class MotionMeter:
    """The motion of frames as they come; two of them are held."""

    def __init__(self) -> None:
        self._lengths: list[float] = []
        self._before: np.ndarray | None = None
        self._count = 0

    def see(self, frame_HW3: np.ndarray) -> None:
        """Take in the next RGB uint8 frame [H, W, 3]."""
        import cv2  # here: 0.2 s that reductions over stored features do not need

        self._count += 1
        now_HW = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY)
        if self._before is not None:
            self._lengths.append(_mean_flow(self._before, now_HW))
        self._before = now_HW

    @property
    def trajectory_T(self) -> Float32[np.ndarray, " t"]:
        """Mean flow length in pixels of each frame against the one before it.

        The first pair counts twice, so that value i is the motion from frame i − 1 to i, and value 0 repeats value 1.
        Fewer than two frames give zeros.
        """
        if not self._lengths:
            return np.zeros(self._count, dtype=np.float32)
        return np.array([self._lengths[0], *self._lengths], dtype=np.float32)


def motion_trajectory(frames: Iterable[np.ndarray]) -> Float32[np.ndarray, " t"]:
    """The trajectory of `MotionMeter` over RGB uint8 frames [H, W, 3]."""
    meter = MotionMeter()
    for frame_HW3 in frames:
        meter.see(frame_HW3)
    return meter.trajectory_T


class MovementRange:
    """By how many grey levels the mean of some 8x8 block varies over frames: 0 for a still picture."""

    def __init__(self) -> None:
        self._low: np.ndarray | None = None
        self._high: np.ndarray | None = None

    def see(self, frame_HW3: np.ndarray) -> None:
        """Take in the next RGB uint8 frame [H, W, 3]; all of one size."""
        import cv2

        height, width = frame_HW3.shape[:2]
        grey_HW = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)
        size = (max(1, width // BLOCK_PX), max(1, height // BLOCK_PX))
        blocks = cv2.resize(grey_HW, size, interpolation=cv2.INTER_AREA)
        self._low = blocks if self._low is None else np.minimum(self._low, blocks)
        self._high = blocks if self._high is None else np.maximum(self._high, blocks)

    @property
    def value(self) -> float:
        if self._low is None or self._high is None:
            return 0.0
        return float((self._high - self._low).max())


def _mean_flow(before_HW: np.ndarray, now_HW: np.ndarray) -> float:
    """The mean length in float32, as the references take it: two still frames must tie to the last digit."""
    import cv2

    flow_HW2 = cv2.calcOpticalFlowFarneback(
        before_HW,
        now_HW,
        np.zeros((*now_HW.shape, 2), dtype=np.float32),
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )
    length_HW, _ = cv2.cartToPolar(flow_HW2[..., 0], flow_HW2[..., 1])
    return float(np.mean(length_HW))
