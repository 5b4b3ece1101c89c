"""Anti-aliased painting of many frames at once. Axes: C colour, T frames, H height, W width.

Places and lengths are in units of the picture's side, x to the right, y down. A length or a place is a number, or an
array [T] where it moves. Every shape touches only the box that it sweeps over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
Moving = float | np.ndarray
_EDGE_PX = 1.6  # width of an edge: soft enough not to flicker, and nothing for the codec to waste bits on


def _moving(value: Moving) -> np.ndarray:
    """The value as [T or 1, 1, 1] float32."""
    return np.asarray(value, np.float32).reshape(-1, 1, 1)


@dataclass(frozen=True)
class Box:
    """A part of the picture: its slices, and the coordinates of its pixels as [1, 1, w] and [1, h, 1]."""

    rows: slice
    columns: slice
    x_W: np.ndarray
    y_H: np.ndarray


class Canvas:
    """Frames being painted from back to front, float32 [3, T, H, W] in 0 to 1."""

    def __init__(self, pixels_CTHW: np.ndarray) -> None:
        self.pixels_CTHW = pixels_CTHW
        self._size_px = pixels_CTHW.shape[-1]
        self._edge = _EDGE_PX / self._size_px
        self._grid: np.ndarray = (np.arange(self._size_px, dtype=np.float32) + 0.5) / self._size_px

    @classmethod
    def blank(cls, frames: int, size_px: int) -> Canvas:
        """Black frames."""
        return cls(np.zeros((3, frames, size_px, size_px), np.float32))

    def part(self, frames: np.ndarray) -> Canvas:
        """The frames of a run of indices, as a canvas that paints into this one."""
        return Canvas(self.pixels_CTHW[:, int(frames[0]) : int(frames[-1]) + 1])

    def pixels_uint8(self) -> np.ndarray:
        """The frames as uint8 [T, H, W, 3]."""
        scaled_CTHW = np.clip(self.pixels_CTHW, 0.0, 1.0)
        scaled_CTHW *= 255.0  # in place: a new array of this size costs more than the sum
        scaled_CTHW += 0.5
        out_THWC = np.empty((*scaled_CTHW.shape[1:], 3), np.uint8)
        for channel, values_THW in enumerate(scaled_CTHW):
            out_THWC[..., channel] = values_THW
        return out_THWC

    def box(self, x_0: float, x_1: float, y_0: float, y_1: float) -> Box:
        """The pixels of a rectangle, with room for soft edges; cut at the picture's border."""
        rows, columns = (
            slice(max(0, int((low - self._edge) * self._size_px)), max(0, int((high + self._edge) * self._size_px) + 1))
            for low, high in ((y_0, y_1), (x_0, x_1))
        )
        return Box(rows, columns, self._grid[None, None, columns], self._grid[None, rows, None])

    def cover(self, depth_THW: np.ndarray, *, edge: float | None = None) -> np.ndarray:
        """How much of each pixel is covered, 0 to 1, where `depth` says how far inside the shape it is."""
        return np.asarray(np.clip(depth_THW / (edge or self._edge) + 0.5, 0.0, 1.0))

    def lay(self, cover_THW: np.ndarray, colour: Colour, *, box: Box) -> None:
        """Paint a colour over what is there."""
        for channel_THW, value in zip(self.pixels_CTHW[:, :, box.rows, box.columns], colour, strict=True):
            change_THW = np.float32(value) - channel_THW
            change_THW *= cover_THW
            channel_THW += change_THW

    def add(self, light_THW: np.ndarray, colour: Colour, *, box: Box) -> None:
        """Add light to what is there."""
        for channel_THW, value in zip(self.pixels_CTHW[:, :, box.rows, box.columns], colour, strict=True):
            channel_THW += light_THW * np.float32(value)

    def backdrop(self, top: Colour, bottom: Colour) -> None:
        """Fill everything with a gradient, darker towards the corners."""
        x_W, y_H = self._grid[None, :] - 0.5, self._grid[:, None] - 0.5
        shade_HW = 1.0 - 0.55 * (x_W**2 + y_H**2)
        ramp_H = self._grid[:, None]
        for channel_THW, high, low in zip(self.pixels_CTHW, top, bottom, strict=True):
            channel_THW[:] = ((1 - ramp_H) * np.float32(high) + ramp_H * np.float32(low)) * shade_HW

    def below(self, surface_TW: np.ndarray, colour: Colour) -> None:
        """Paint all that lies below a line; `surface_TW` is its height y at each column, [T or 1, W]."""
        box = self.box(0.0, 1.0, max(0.0, float(surface_TW.min())), 1.0)
        self.lay(self.cover(box.y_H - surface_TW.astype(np.float32)[:, None, :]), colour, box=box)

    def columns(self) -> np.ndarray:
        """The x of each column, [W]."""
        return self._grid

    def bar(self, x_0: float, x_1: float, y_0: float, y_1: float, *, colour: Colour, strength: Moving = 1.0) -> None:
        """Paint an upright rectangle."""
        box = self.box(x_0, x_1, y_0, y_1)
        depth_THW = np.minimum(
            np.minimum(box.x_W - x_0, x_1 - box.x_W),
            np.minimum(box.y_H - y_0, y_1 - box.y_H),
        )
        self.lay(self.cover(depth_THW) * _moving(strength), colour, box=box)

    def disc(
        self,
        x: Moving,
        y: Moving,
        radius: Moving,
        *,
        colour: Colour,
        flat: Moving = 1.0,
        strength: Moving = 1.0,
        soft: float | None = None,
        light: bool = False,
    ) -> None:
        """Paint a disc, or an ellipse whose height is `flat` of its width; `light` adds instead of covering."""
        x_T, y_T, r_T, flat_T = _moving(x), _moving(y), np.maximum(_moving(radius), 1e-4), _moving(flat)
        reach, reach_y = r_T + (soft or 0.0), r_T * flat_T + (soft or 0.0)
        box = self.box(
            float((x_T - reach).min()),
            float((x_T + reach).max()),
            float((y_T - reach_y).min()),
            float((y_T + reach_y).max()),
        )
        distance_THW = np.sqrt((box.x_W - x_T) ** 2 + ((box.y_H - y_T) / flat_T) ** 2)
        cover_THW = self.cover(r_T - distance_THW, edge=soft) * _moving(strength)
        (self.add if light else self.lay)(cover_THW, colour, box=box)

    def ring(
        self,
        x: Moving,
        y: Moving,
        radius: Moving,
        *,
        width: float,
        colour: Colour,
        flat: Moving = 1.0,
        strength: Moving = 1.0,
    ) -> None:
        """Paint the outline of an ellipse."""
        x_T, y_T, r_T, flat_T = _moving(x), _moving(y), _moving(radius), _moving(flat)
        reach, reach_y = r_T + width, (r_T + width) * flat_T
        box = self.box(
            float((x_T - reach).min()),
            float((x_T + reach).max()),
            float((y_T - reach_y).min()),
            float((y_T + reach_y).max()),
        )
        distance_THW = np.sqrt((box.x_W - x_T) ** 2 + ((box.y_H - y_T) / flat_T) ** 2)
        cover_THW = self.cover(width / 2 - np.abs(distance_THW - r_T)) * _moving(strength)
        self.lay(cover_THW, colour, box=box)

    def rod(
        self,
        x_0: Moving,
        y_0: Moving,
        x_1: Moving,
        y_1: Moving,
        *,
        width: float,
        colour: Colour,
        strength: Moving = 1.0,
    ) -> None:
        """Paint a thick line with round ends."""
        a_x, a_y, b_x, b_y = _moving(x_0), _moving(y_0), _moving(x_1), _moving(y_1)
        box = self.box(
            float(min(a_x.min(), b_x.min())) - width,
            float(max(a_x.max(), b_x.max())) + width,
            float(min(a_y.min(), b_y.min())) - width,
            float(max(a_y.max(), b_y.max())) + width,
        )
        d_x, d_y = b_x - a_x, b_y - a_y
        length_2 = np.maximum(d_x**2 + d_y**2, 1e-8)
        along_THW = np.clip(((box.x_W - a_x) * d_x + (box.y_H - a_y) * d_y) / length_2, 0.0, 1.0)
        distance_THW = np.hypot(box.x_W - a_x - along_THW * d_x, box.y_H - a_y - along_THW * d_y)
        self.lay(self.cover(width / 2 - distance_THW) * _moving(strength), colour, box=box)
