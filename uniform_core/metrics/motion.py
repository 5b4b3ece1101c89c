"""Motion of a video: mean length of Farneback's optical flow, frame by frame. OpenCV's arithmetic, as AV-align's."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32


def motion_trajectory(frames: Iterable[np.ndarray]) -> Float32[np.ndarray, " t"]:
    """Mean flow length in pixels for each RGB uint8 frame [H, W, 3] against the one before it.

    Frames are streamed: two are held. The first pair counts twice, so that value i is the motion from frame i − 1 to
    i, and value 0 repeats value 1. Fewer than two frames give zeros.
    """
    import cv2  # here: 0.2 s that reductions over stored features do not need

    lengths: list[float] = []
    before = None
    count = 0
    for frame in frames:
        count += 1
        now = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is not None:
            lengths.append(_mean_flow(before, now))
        before = now
    if not lengths:
        return np.zeros(count, dtype=np.float32)
    return np.array([lengths[0], *lengths], dtype=np.float32)


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
