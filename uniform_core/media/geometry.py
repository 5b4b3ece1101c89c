"""Sizes: what a picture is when shown, what its clip is, where it lies in a square. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from uniform_core.media.forms import ResizeRule

MAX_ASPECT = 8


def shown_size(width_px: int, height_px: int, *, pixel_aspect: Fraction | None, rotation_deg: int) -> tuple[int, int]:
    """Width and height as a player shows them: square pixels, then turned."""
    aspect = Fraction(1) if not pixel_aspect or not Fraction(1, 16) <= pixel_aspect <= 16 else Fraction(pixel_aspect)
    width, height = max(1, round(width_px * aspect)), height_px
    return (height, width) if rotation_deg % 180 else (width, height)


def canonical_size(width_px: int, height_px: int, short_side_px: int) -> tuple[int, int]:
    """Width and height of the clip: the short side as asked, the long one in proportion, both even."""
    short, long = sorted((width_px, height_px))
    long_px = 2 * round(long * short_side_px / short / 2)
    return (short_side_px, long_px) if width_px <= height_px else (long_px, short_side_px)


@dataclass(frozen=True)
class Placement:
    """How a picture fills a target: scale it to `scaled_HW`, cut `cut_YX` off its top left, put it at `at_YX`.

    Cut and put are centred; at most one of them is not zero along an axis.
    """

    scaled_HW: tuple[int, int]
    cut_YX: tuple[int, int]
    at_YX: tuple[int, int]

    def apply(self, scaled_HWC: np.ndarray, target_HW: tuple[int, int]) -> np.ndarray:
        """The scaled picture in the target: cut, or with black around it."""
        (cut_y, cut_x), (at_y, at_x), (height, width) = self.cut_YX, self.at_YX, target_HW
        part_HWC = scaled_HWC[cut_y : cut_y + height, cut_x : cut_x + width]
        if part_HWC.shape[:2] == target_HW:
            return part_HWC
        target_HWC = np.zeros((height, width, scaled_HWC.shape[2]), dtype=scaled_HWC.dtype)
        target_HWC[at_y : at_y + part_HWC.shape[0], at_x : at_x + part_HWC.shape[1]] = part_HWC
        return target_HWC


def place(shown_HW: tuple[int, int], target_HW: tuple[int, int], rule: ResizeRule) -> Placement:
    """The placement of a picture in a target of another shape.

    >>> place((90, 160), (64, 64), "crop")
    Placement(scaled_HW=(64, 114), cut_YX=(0, 25), at_YX=(0, 0))
    >>> place((90, 160), (64, 64), "letterbox")
    Placement(scaled_HW=(36, 64), cut_YX=(0, 0), at_YX=(14, 0))
    """
    if rule == "squash":
        return Placement(target_HW, (0, 0), (0, 0))
    ratios = [target / shown for target, shown in zip(target_HW, shown_HW, strict=True)]
    ratio = max(ratios) if rule == "crop" else min(ratios)
    scaled = [max(1, round(shown * ratio)) for shown in shown_HW]
    for axis in (0, 1):  # the axis that decides is exact, whatever the rounding
        if ratios[axis] == ratio:
            scaled[axis] = target_HW[axis]
    over = [size - target for size, target in zip(scaled, target_HW, strict=True)]
    cut = (max(0, over[0]) // 2, max(0, over[1]) // 2)
    at = (max(0, -over[0]) // 2, max(0, -over[1]) // 2)
    return Placement((scaled[0], scaled[1]), cut, at)
