"""Pictures turned, squared and scaled; how much they move. Axes: T time, H height, W width, both as shown."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from uniform_core.media.geometry import shown_size

GREY_PER_LUMA = 255 / 219  # luma lies in 16..235
STILL_RANGE = 6.0
BLOCK = 8
BT601 = (2, 5, 6)
"""FFmpeg's numbers for colours of BT.601: nothing said, BT.470BG, SMPTE 170M."""
DOZEN = 12


def quarter_turns(frame: av.VideoFrame) -> int:
    """How many quarter turns counter-clockwise show the frame upright, 0 to 3."""
    return int(round(frame.rotation / 90) % 4)


def is_mirrored(frame: av.VideoFrame) -> bool:
    """Whether a frame is shown upside down before its quarter turns: its display matrix [a b u; c d v; …] mirrors."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    return bool(a * d < b * c)


def shown_size_of(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height of a frame as shown."""
    rotation_deg = 90 * quarter_turns(frame)
    return shown_size(frame.width, frame.height, pixel_aspect=pixel_aspect, rotation_deg=rotation_deg)


class Scaler:
    """Frames at one size and format. The last result is kept: a picture that is held is scaled once."""

    def __init__(self, pixel_format: str, interpolation: str = "bicubic") -> None:
        self._format = pixel_format
        self._interpolation = Interpolation[interpolation.upper()]
        self._reformatter = VideoReformatter()
        self._memo: tuple[av.VideoFrame, tuple[int, int], av.VideoFrame] | None = None

    def scale(self, frame: av.VideoFrame, size_WH: tuple[int, int]) -> av.VideoFrame:
        """The frame upright at `size_WH`; BT.601 limited range where the format is YUV."""
        if self._memo is not None and self._memo[0] is frame and self._memo[1] == size_WH:
            return self._memo[2]
        turns, mirrored = quarter_turns(frame), is_mirrored(frame)
        if not turns and not mirrored and self._is_so(frame, size_WH):
            return frame
        width, height = size_WH[::-1] if turns % 2 else size_WH
        to_yuv = self._format.startswith("yuv")
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=self._format,
            dst_colorspace=Colorspace.ITU601 if to_yuv else None,
            interpolation=self._interpolation,
            src_color_range=source_range(frame),
            dst_color_range=ColorRange.MPEG if to_yuv else ColorRange.JPEG,
            threads=1,
        )
        upright = turn(scaled, turns, mirrored=mirrored) if turns or mirrored else scaled
        self._memo = (frame, size_WH, upright)
        return upright

    def _is_so(self, frame: av.VideoFrame, size_WH: tuple[int, int]) -> bool:
        """Whether a frame already is what would become of it, so that no copy of its planes is made."""
        return (
            self._format == "yuv420p" == frame.format.name
            and size_WH == (frame.width, frame.height)
            and frame.colorspace in BT601
            and source_range(frame) == ColorRange.MPEG
        )


def source_range(frame: av.VideoFrame) -> ColorRange:
    """The range of a frame's values: what it says, else full for RGB, grey and the `yuvj` formats."""
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return ColorRange(frame.color_range)
    name = frame.format.name
    return ColorRange.MPEG if name.startswith(("yuv", "nv", "p0")) and "yuvj" not in name else ColorRange.JPEG


def plane(frame: av.VideoFrame, index: int) -> np.ndarray:
    """One 8-bit plane as uint8 [H, W], a view of the frame's memory without its padding."""
    source = frame.planes[index]
    return np.frombuffer(source, np.uint8).reshape(source.height, source.line_size)[:, : source.width]


def turn(frame: av.VideoFrame, quarter_turns_ccw: int, *, mirrored: bool) -> av.VideoFrame:
    """The frame, upside down if `mirrored`, then turned counter-clockwise: planes of 4:2:0, or packed RGB."""
    rows = slice(None, None, -1 if mirrored else None)
    if frame.format.name == "rgb24":
        turned_HW3 = np.ascontiguousarray(np.rot90(frame.to_ndarray()[rows], quarter_turns_ccw))
        return av.VideoFrame.from_ndarray(turned_HW3, format="rgb24")
    planes = [np.rot90(plane(frame, index)[rows], quarter_turns_ccw) for index in range(3)]
    turned = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], "yuv420p")
    for index, values_HW in enumerate(planes):
        plane_HW = np.frombuffer(turned.planes[index], np.uint8).reshape(-1, turned.planes[index].line_size)
        plane_HW[: values_HW.shape[0], : values_HW.shape[1]] = values_HW
    return turned


class Motion:
    """Running measures of change: mean difference of neighbours, and the range of each 8x8 block's mean.

    Frames are measured by the dozen: on small ones a call of NumPy costs more than its work.
    """

    def __init__(self) -> None:
        self._waiting: list[np.ndarray] = []
        self._before_HW: np.ndarray | None = None
        self._low: np.ndarray | None = None
        self._high: np.ndarray | None = None
        self._total, self._pairs = 0.0, 0

    def see(self, frame: av.VideoFrame, times: int) -> None:
        """Count a frame that is shown for `times` ticks."""
        self._pairs += times - (not self._waiting and self._before_HW is None)
        self._waiting.append(plane(frame, 0).copy())
        if len(self._waiting) >= DOZEN:
            self._measure()

    def _measure(self) -> None:
        """Take in the frames that wait."""
        if not self._waiting:
            return
        luma_THW = np.stack(self._waiting)
        self._waiting = []
        chain = luma_THW if self._before_HW is None else np.concatenate([self._before_HW[None], luma_THW])
        steps_THW = np.abs(np.diff(chain.astype(np.int16), axis=0))
        for mean in steps_THW.mean(axis=(1, 2), dtype=np.float64):
            self._total += float(mean)
        self._before_HW = luma_THW[-1]
        blocks = block_means(luma_THW)
        low, high = blocks.min(axis=0), blocks.max(axis=0)
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)

    @property
    def mean(self) -> float:
        """Mean absolute difference of neighbouring frames, grey levels 0 to 255."""
        self._measure()
        return GREY_PER_LUMA * self._total / max(1, self._pairs)

    @property
    def is_still(self) -> bool:
        """Whether no block's mean varies by more than six levels: compression flickers less, things that move more."""
        self._measure()
        if self._low is None or self._high is None:
            return True
        return float((self._high - self._low).max()) * GREY_PER_LUMA <= STILL_RANGE


def block_means(luma_THW: np.ndarray) -> np.ndarray:
    """Means over 8x8 blocks; a rim that does not fill a block is left out, a picture smaller than one is one block."""
    high, wide = luma_THW.shape[1] // BLOCK, luma_THW.shape[2] // BLOCK
    if not high or not wide:
        return np.asarray(luma_THW.mean(axis=(1, 2), keepdims=True), dtype=np.float32)
    blocks = luma_THW[:, : high * BLOCK, : wide * BLOCK].reshape(-1, high, BLOCK, wide, BLOCK)
    return np.asarray(blocks.sum(axis=(2, 4), dtype=np.int32) / np.float32(BLOCK * BLOCK), dtype=np.float32)
