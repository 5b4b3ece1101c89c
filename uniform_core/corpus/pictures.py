"""What a clip looks and sounds like, as still pictures. Axes: T time, H height, W width, F mel bins, N samples."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from uniform_core.codecs.mel import log_mel
from uniform_core.spec import AVSpec

STRIP_FRAMES = 8
STRIP_HEIGHT_PX = 64
QUIETEST, LOUDEST = -7.5, 1.5  # log-mel at the ends of the colours: one scale for all, so that eyes can compare
VIEW_PX = 192  # players on some systems refuse pictures of less than 48 px, and nobody can see them
STILL_WIDTH_PX, STILL_MEL_PX = 1024, 256
GALLERY_GAP_PX, GALLERY_GREY = 12, 128
BAND_PX = 16  # of paper between two stills in one figure


def png_of(picture_HWC: np.ndarray) -> bytes:
    """An RGB picture, uint8, as a PNG file."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture_HWC, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return encoded.tobytes()


def strip_of(frames_THWC: np.ndarray) -> np.ndarray:
    """Eight frames side by side: each the middle of its eighth of the clip, so that time runs evenly to the right."""
    places = (np.arange(STRIP_FRAMES) + 0.5) / STRIP_FRAMES * len(frames_THWC)
    chosen = [frames_THWC[int(place)] for place in places]
    height, width = frames_THWC.shape[1:3]
    if height > STRIP_HEIGHT_PX:
        size_WH = (max(1, round(width * STRIP_HEIGHT_PX / height)), STRIP_HEIGHT_PX)
        chosen = [cv2.resize(frame, size_WH, interpolation=cv2.INTER_AREA) for frame in chosen]
    return np.concatenate(chosen, axis=1)


def mel_picture(waveform_N: np.ndarray, spec: AVSpec) -> np.ndarray:
    """The log-mel of a sound as colours, low notes at the bottom; dark is silent."""
    wave_BN = torch.from_numpy(np.ascontiguousarray(waveform_N, dtype=np.float32))[None]
    mel_TF = log_mel(wave_BN, spec)[0].numpy()
    share_FT = np.clip((mel_TF.T[::-1] - QUIETEST) / (LOUDEST - QUIETEST), 0.0, 1.0)
    levels_FT = (share_FT * 255).round().astype(np.uint8)
    return np.ascontiguousarray(cv2.cvtColor(cv2.applyColorMap(levels_FT, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB))


def still_of(frames_THWC: np.ndarray, waveform_N: np.ndarray, spec: AVSpec) -> np.ndarray:
    """A clip in one picture, 1024 wide: its strip of frames, and below it, on the same axis of time, its log-mel."""
    strip_HWC, mel_HWC = strip_of(frames_THWC), mel_picture(fitted(waveform_N, spec), spec)
    strip_px = max(1, round(strip_HWC.shape[0] * STILL_WIDTH_PX / strip_HWC.shape[1]))
    strip_HWC = cv2.resize(strip_HWC, (STILL_WIDTH_PX, strip_px), interpolation=cv2.INTER_NEAREST)
    mel_HWC = cv2.resize(mel_HWC, (STILL_WIDTH_PX, STILL_MEL_PX), interpolation=cv2.INTER_NEAREST)
    return np.concatenate([strip_HWC, mel_HWC], axis=0)


def gallery_of(pairs: Sequence[tuple[np.ndarray | None, np.ndarray | None]]) -> np.ndarray:
    """Stills in rows of two, at half their size: the real clip's, then the made one's; grey where there is none."""
    still = next((one for pair in pairs for one in pair if one is not None), None)
    if still is None:
        return np.full((1, 1, 3), GALLERY_GREY, np.uint8)
    height_px, width_px = still.shape[0] // 2, still.shape[1] // 2
    step_px = (height_px + GALLERY_GAP_PX, width_px + GALLERY_GAP_PX)
    shape = (len(pairs) * step_px[0] - GALLERY_GAP_PX, 2 * step_px[1] - GALLERY_GAP_PX, 3)
    gallery_HWC = np.full(shape, GALLERY_GREY, np.uint8)
    for row, pair in enumerate(pairs):
        for column, one in enumerate(pair):
            if one is not None:
                top, left = row * step_px[0], column * step_px[1]
                small = cv2.resize(one, (width_px, height_px), interpolation=cv2.INTER_AREA)
                gallery_HWC[top : top + height_px, left : left + width_px] = small
    return gallery_HWC


def figure_of(stills_HWC: Sequence[np.ndarray]) -> np.ndarray:
    """Stills one below the other, on one axis of time: what was made lies under the truth that it answers."""
    band_HWC = np.full((BAND_PX, STILL_WIDTH_PX, 3), 255, dtype=np.uint8)
    parts = [part for still_HWC in stills_HWC for part in (band_HWC, still_HWC)]
    return np.concatenate(parts[1:], axis=0)


def fitted(waveform_N: np.ndarray, spec: AVSpec) -> np.ndarray:
    """A sound of exactly the spec's samples: cut, or with silence after it."""
    return np.pad(waveform_N, (0, max(0, spec.samples - len(waveform_N))))[: spec.samples]


def viewing_scale(height_px: int, width_px: int) -> int:
    """How many times a picture grows so that it can be watched; 1 where it is large enough."""
    return max(1, VIEW_PX // min(height_px, width_px))


def enlarged(frame_HWC: np.ndarray) -> np.ndarray:
    """A frame as large as the film that it stands for."""
    scale = viewing_scale(*frame_HWC.shape[:2])
    return frame_HWC.repeat(scale, axis=0).repeat(scale, axis=1)
