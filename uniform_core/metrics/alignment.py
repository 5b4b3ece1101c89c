"""AV-align, the matching: onsets of sound against peaks of motion, by a rule that has a name.

One metric, several codes: each rule says which. Times in seconds from the start of the clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from pydantic import Field

from uniform_core.metrics.protocol import Word
from uniform_core.types import Count, Frozen


class AlignRule(Frozen):
    """What a code counts as a peak of motion, and as a match."""

    name: Word
    min_flow_px: float = Field(ge=0)  # a peak of motion is at least this high
    one_to_one: bool  # each peak of motion is matched at most once, in order of the onsets
    denominator_eps: float = Field(default=0.0, ge=0)
    onset_rate_hz: Count | None = 22_050  # the rate that onsets are found at; None for the file's own


TEMPOTOKENS_2025 = AlignRule(name="tempotokens2025", min_flow_px=0.1, one_to_one=True)
SEEING_AND_HEARING = AlignRule(name="seeing_and_hearing", min_flow_px=0.0, one_to_one=False)
JAVISBENCH = AlignRule(name="javisbench", min_flow_px=0.0, one_to_one=False, denominator_eps=1e-6, onset_rate_hz=None)
RULES = {rule.name: rule for rule in (TEMPOTOKENS_2025, SEEING_AND_HEARING, JAVISBENCH)}


def motion_peaks(flow_T: Float[np.ndarray, " t"], rate_hz: int | float, *, rule: AlignRule) -> tuple[float, ...]:
    """The times of strict local maxima of motion; the first and last frame are never peaks."""
    inner = flow_T[1:-1]
    is_peak = (inner > flow_T[:-2]) & (inner > flow_T[2:]) & (inner >= rule.min_flow_px)
    return tuple(float(index + 1) / rate_hz for index in np.flatnonzero(is_peak))


def alignment(
    onsets_s: Sequence[float], peaks_s: Sequence[float], *, rate_hz: int | float, rule: AlignRule
) -> float | None:
    """Matched over all: |A ∩ V| / (|A| + |V| − |A ∩ V|); a match is less than one frame away.

    None where the clip has neither onset nor peak and the rule has no denominator left (the published codes divide by
    zero there). Above 1 is possible where the rule is not one to one.
    """
    window_s = 1.0 / rate_hz
    free = list(peaks_s)
    matched = 0
    for onset in onsets_s:
        peak = next((p for p in free if p - window_s < onset < p + window_s), None)
        if peak is None:
            continue
        matched += 1
        if rule.one_to_one:
            free.remove(peak)
    denominator = len(onsets_s) + len(peaks_s) - matched + rule.denominator_eps
    return matched / denominator if denominator else None
