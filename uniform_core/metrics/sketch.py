"""Sketches of clips, small enough to compare every generated clip with every training clip at every shift in time.

Axes: N, M clips, T frames of the picture, F mel bins, D values of a step.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Real, UInt8

SKETCH_PX = 8
SKETCH_BINS = 32
MAX_SHIFT = 0.5  # of the clip


def video_sketch(frames_THW3: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T D"]:
    """Each frame shrunk to at most SKETCH_PX a side, by area."""
    import cv2  # here: 0.2 s that reductions over stored features do not need

    small = [cv2.resize(frame, (SKETCH_PX, SKETCH_PX), interpolation=cv2.INTER_AREA) for frame in frames_THW3]
    return np.stack(small).reshape(len(small), -1)


def mel_sketch(mel_TF: Float[np.ndarray, "T F"], *, steps: int) -> Float32[np.ndarray, "S D"]:
    """Log-mel averaged into `steps` spans of time and at most SKETCH_BINS bands."""
    spans = np.array_split(mel_TF, min(steps, len(mel_TF)), axis=0)
    by_time = np.stack([span.mean(axis=0) for span in spans])
    bands = np.array_split(by_time, min(SKETCH_BINS, by_time.shape[1]), axis=1)
    return np.stack([band.mean(axis=1) for band in bands], axis=1).astype(np.float32)


def nearest_distances(
    clips_NTD: Real[np.ndarray, "N T D"], others_MTD: Real[np.ndarray, "M T D"]
) -> tuple[np.ndarray, np.ndarray]:
    """For each clip the least distance to any of the others over shifts in time, and which one that is.

    The distance is the root mean square difference over the steps that both clips have; a shift is at most MAX_SHIFT of
    the clip either way.
    """
    steps = clips_NTD.shape[1]
    reach = int(MAX_SHIFT * steps)
    best_NM = np.full((len(clips_NTD), len(others_MTD)), np.inf, dtype=np.float32)
    for shift in range(-reach, reach + 1):
        ours = clips_NTD[:, max(0, shift) : steps + min(0, shift)]
        theirs = others_MTD[:, max(0, -shift) : steps + min(0, -shift)]
        np.minimum(best_NM, _mean_squares(ours, theirs), out=best_NM)
    nearest_N = best_NM.argmin(axis=1)
    return np.sqrt(np.maximum(best_NM[np.arange(len(best_NM)), nearest_N], 0.0)), nearest_N


def _mean_squares(first_NTD: np.ndarray, second_MTD: np.ndarray) -> Float32[np.ndarray, "N M"]:
    first_NK = np.ascontiguousarray(first_NTD, dtype=np.float32).reshape(len(first_NTD), -1)
    second_MK = np.ascontiguousarray(second_MTD, dtype=np.float32).reshape(len(second_MTD), -1)
    squares = (first_NK**2).sum(axis=1)[:, None] + (second_MK**2).sum(axis=1)[None]
    return np.asarray((squares - 2.0 * first_NK @ second_MK.T) / first_NK.shape[1])
