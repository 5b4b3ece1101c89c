"""What is wrong with clips though their features are finite: silence, stillness, rates that differ, clips left out.

A number on such clips looks like any other. So it is null with a reason where it would mean nothing, and carries a
warning where some of its clips are so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.motion import STILL_LEVELS

SILENT_PEAK: Final = 1e-4  # as media has it
RATE_TOLERANCE: Final = 1e-3  # 29.97 and 30 are one rate
RATE, PEAK, MOVEMENT = "rate_hz", "peak", "movement"


def differing_rates(sets: Mapping[str, FeatureSet]) -> str | None:
    """Why clips of several sides cannot be compared frame by frame, in words; None where all have one rate."""
    rates = {
        side: np.array([float(value) for value in found.values]) for side, found in sets.items() if len(found.values)
    }
    every = np.concatenate(list(rates.values())) if rates else np.zeros(0)
    if not len(every) or every.max() <= every.min() * (1 + RATE_TOLERANCE):
        return None
    said = ", ".join(f"{side} {_span(values)} Hz" for side, values in rates.items())
    return f"frame rates differ ({said}), and the protocol takes files at their own: bring them to one rate first"


def silent(peaks: FeatureSet) -> int:
    """How many sounds are silent."""
    return sum(float(value) < SILENT_PEAK for value in peaks.values)


def still(movements: FeatureSet) -> int:
    """How many pictures do not move."""
    return sum(float(value) <= STILL_LEVELS for value in movements.values)


def left_out(side: str, extractor: str, total: int, lacking: Mapping[str, str]) -> str | None:
    """Why a set is not whole, in words; None where every clip has its features."""
    if not lacking:
        return None
    first = min(lacking)
    return f"{len(lacking)} of {total + len(lacking)} {side} clips give {extractor} nothing: {first}: {lacking[first]}"


def _span(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if high <= low * (1 + RATE_TOLERANCE) else f"{low:.6g} to {high:.6g}"
