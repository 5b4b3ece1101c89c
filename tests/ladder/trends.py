"""Is there a trend over the rungs? Page's test over independent groups. Axes: G groups, R rungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

SAME_RTOL, SAME_ATOL = 1e-6, 1e-9  # rows in another order are summed in another order
DIGITS = 8


@dataclass(frozen=True)
class Trend:
    """One-sided p values of Page's L, and whether no value differs from the untouched one."""

    p_up: float
    p_down: float
    is_same: bool

    @property
    def p_any(self) -> float:
        """The two-sided p value."""
        return min(1.0, 2 * min(self.p_up, self.p_down))

    @property
    def arrow(self) -> str:
        """Which way it rather goes."""
        return "↑" if self.p_up <= self.p_down else "↓"


def trend_of(values_GR: np.ndarray) -> Trend:
    """The trend of values whose first rung is the untouched one. Ranks are within groups, so that groups may differ.

    Source: Page 1963, as scipy.stats has it: exact for few groups and rungs; ties share their mean rank, and values
    that differ by less than DIGITS tell are ties.
    """
    told_GR = np.array([[told(value) for value in row] for row in values_GR])
    up, down = (scipy.stats.page_trend_test(sign * told_GR).pvalue for sign in (1, -1))
    is_same = bool(np.allclose(values_GR, values_GR[:, :1], rtol=SAME_RTOL, atol=SAME_ATOL))
    return Trend(float(up), float(down), is_same)


def told(value: float) -> float:
    """A value to DIGITS: what lies below is the order of a sum."""
    return float(f"{value:.{DIGITS}g}")


def holm(p_values: Sequence[float]) -> list[float]:
    """p values made larger for their number, step by step (Holm 1979), in the order that they came in."""
    count, worst = len(p_values), 0.0
    adjusted = [0.0] * count
    for step, place in enumerate(sorted(range(count), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (count - step) * p_values[place]))
        adjusted[place] = worst
    return adjusted
