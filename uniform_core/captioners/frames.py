"""Frames as captioners are shown them, and the clip that stands in for any: black. Axes: T, H, W, C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from uniform_core.captioners.base import CaptionInput

ShortSide = Annotated[int, Field(strict=True, ge=16, le=2160)]  # px
PROBE_ID = "0" * 32
_PROBE_HW = (64, 96)


def frames_problem(item: CaptionInput, *, frames: int) -> str | None:
    """Why a captioner that asks for so many frames cannot look at this input, in words; None where it can."""
    found = item.frames_THWC
    if found is None or item.frame_indices is None or item.rate_hz is None or item.clip_frames is None:
        return f"{frames} frames, their indices, rate and the clip's length expected; not all of them found"
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3 or 0 in found.shape:
        return f"uint8 frames [T, H, W, 3] expected; {found.dtype} {list(found.shape)} found"
    if not len(found) == len(item.frame_indices) == frames:
        return f"{frames} frames and indices expected; {len(found)} and {len(item.frame_indices)} found"
    return None


def shrunk(frames_THWC: np.ndarray, short_side_px: int | None) -> np.ndarray:
    """The frames with their shorter side of so many pixels, by area; as they are where they are not larger."""
    height, width = frames_THWC.shape[1:3]
    if short_side_px is None or min(height, width) <= short_side_px:
        return frames_THWC
    import cv2  # here: quick commands read the configs of captioners without it

    size_WH = tuple(max(short_side_px, round(side * short_side_px / min(height, width))) for side in (width, height))
    return np.stack([cv2.resize(frame_HWC, size_WH, interpolation=cv2.INTER_AREA) for frame_HWC in frames_THWC])


def in_size(policy: str, short_side_px: int | None) -> str:
    """A frame policy with the size of the frames.

    >>> in_size("even:16", 336), in_size("even:16", None)
    ('even:16@short=336', 'even:16')
    """
    return policy if short_side_px is None else f"{policy}@short={short_side_px}"


def probe(indices: Sequence[int], *, clip_frames: int, rate_hz: float = 16.0) -> CaptionInput:
    """A clip that anybody can be asked about: black frames at these indices."""
    frames_THWC = np.zeros((len(indices), *_PROBE_HW, 3), dtype=np.uint8)
    return CaptionInput(
        PROBE_ID,
        None,
        None,
        frames_THWC=frames_THWC,
        frame_indices=tuple(indices),
        rate_hz=rate_hz,
        clip_frames=clip_frames,
    )
