"""Axes: nice places for ticks, and from values to places in a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` on places from `start` to `end`; a value outside lies at the nearer end."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, with a tenth of a unit."""
        low, high, wanted = ((math.log(v) if self.is_log else v) for v in (self.low, self.high, max(value, self.low)))
        share = min(1.0, max(0.0, (wanted - low) / (high - low)))
        return round(self.start + share * (self.end - self.start), 1)


def linear_axis(values: Iterable[float], *, start: float, end: float, ticks: int = 5) -> tuple[Axis, tuple[float, ...]]:
    """An axis around the values that begins and ends at a tick, and its ticks."""
    found = list(values) or [0.0]
    low, high = min(found), max(found)
    if high - low <= 1e-12 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    step = _nice((high - low) / ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = tuple(round(step * n, 12) for n in range(first, last + 1))
    return Axis(places[0], places[-1], start, end), places


def log_axis(values: Iterable[float], *, start: float, end: float) -> tuple[Axis, tuple[float, ...]]:
    """A logarithmic axis around positive values, with at most six ticks, as many as round numbers give."""
    found = [value for value in values if value > 0] or [1.0]
    low, high = min(found) / 1.3, max(found) * 1.3
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = tuple(part * 10.0**power for power in powers for part in parts if low <= part * 10.0**power <= high)
        if len(ticks) <= 6:
            break
    return Axis(low, high, start, end, is_log=True), ticks[:: -(-len(ticks) // 6) or 1]


def number(value: float) -> str:
    """About three digits: 12345.6 → '12,346', 0.0002423 → '2.4×10⁻⁴'.

    >>> number(12345.6), number(15.83), number(0.5), number(0.0)
    ('12,346', '15.8', '0.500', '0')
    """
    size = abs(value)
    if value == 0:
        return "0"
    for limit, digits in ((100, 0), (10, 1), (1, 2), (0.01, 3), (0.001, 4)):
        if size >= limit:
            return f"{value:,.{digits}f}".replace("-", "−")
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.replace('-', '−')}×10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def tick_text(value: float) -> str:
    """The shortest text of a tick: 0.25, 1,000."""
    return f"{value:,.6g}".replace("-", "−") if abs(value) >= 1e-4 or value == 0 else number(value)


def _nice(step: float) -> float:
    """The next larger of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(part * power for part in (1.0, 2.0, 2.5, 5.0, 10.0) if part * power >= step * (1 - 1e-9))
