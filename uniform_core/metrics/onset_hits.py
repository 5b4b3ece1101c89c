"""Onsets against the known events of the given picture: synchrony without any net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float64

from uniform_core.metrics.base import CLIPS, LABELS, Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.intervals import mean_interval
from uniform_core.metrics.permutation import within_class_p
from uniform_core.metrics.protocol import Protocol
from uniform_core.types import Modality, PositiveFloat


class OnsetHitsConfig(MetricConfig):
    """F1 of a clip's onsets against the events of its own picture, minus that against other clips' of its class.

    0 is chance, whatever the class and however many onsets a sound has. An onset hits an event at most `within_s` away.
    Only systems that are given the picture have events to hit.
    """

    kind: Literal["onset_hits"] = "onset_hits"
    within_s: PositiveFloat = 1.0 / 16

    given = Modality.VIDEO
    min_items = 2

    @classmethod
    def example(cls) -> OnsetHitsConfig:
        return cls(protocol=Protocol(name="example", extractor="librosa", layer="onsets_22050"))

    @property
    def metric(self) -> str:
        return "onset_f1_gain"

    @property
    def needs(self) -> tuple[Need, ...]:
        return (
            Need(Side.GENERATED, self.protocol.extractor, self.protocol.layer),
            Need(Side.GENERATED, CLIPS, "event_times_s"),
            LABELS,
        )

    def measure(self, inputs: Inputs) -> Measured | str:
        f1_NN, labels, _ = self._f1(inputs)
        if not len(f1_NN):
            return "no clip has known events"
        gains_N = own_gains(f1_NN, labels)
        gains = gains_N[np.isfinite(gains_N)]
        if not len(gains):
            return "no clip with known events has another one of its class"
        low, high = mean_interval(gains)
        left = len(inputs[LABELS]) - len(gains)
        warnings = (f"{left} clips without events or without a partner were left out",) if left else ()
        p = within_class_p(f1_NN, labels)
        return Measured(float(gains.mean()), low, high, n_generated=len(gains), n_reference=0, warnings=warnings, p=p)

    def clip_values(self, inputs: Inputs) -> dict[str, float]:
        f1_NN, labels, keys = self._f1(inputs)
        gains_N = own_gains(f1_NN, labels)
        return {key: gain for key, gain in zip(keys, gains_N.tolist(), strict=True) if np.isfinite(gain)}

    def _f1(self, inputs: Inputs) -> tuple[np.ndarray, list[str], list[str]]:
        """F1 of the onsets of clip i against the events of clip j, of clips with events; their classes and keys."""
        onsets, events, labels = (inputs[need] for need in self.needs)
        kept = [place for place, times in enumerate(events.values) if times.size]
        every = [_f1_row(onsets.values[i], [events.values[j] for j in kept], within_s=self.within_s) for i in kept]
        return np.array(every), [labels.texts()[place] for place in kept], [labels.keys[place] for place in kept]


def onset_f1(
    onsets_s: Sequence[float] | np.ndarray, events_s: Sequence[float] | np.ndarray, *, within_s: float
) -> float:
    """2 · hits / (onsets + events), where each onset hits at most one event and each event is hit at most once."""
    hits, at = 0, 0
    events = sorted(float(event) for event in events_s)
    for onset in sorted(float(onset) for onset in onsets_s):
        while at < len(events) and events[at] < onset - within_s - 1e-9:
            at += 1
        if at < len(events) and events[at] <= onset + within_s + 1e-9:
            hits, at = hits + 1, at + 1
    count = len(onsets_s) + len(events_s)
    return 2.0 * hits / count if count else 0.0


def own_gains(f1_NN: Float64[np.ndarray, "N N"], labels: Sequence[str]) -> Float64[np.ndarray, " N"]:
    """f1[i, i] minus the mean of f1[i, j] over the others of its class; NaN for a clip without others."""
    names = np.array(labels)
    gains_N = np.full(len(labels), np.nan)
    for place, label in enumerate(labels):
        others = (names == label) & (np.arange(len(names)) != place)
        if others.any():
            gains_N[place] = f1_NN[place, place] - f1_NN[place, others].mean()
    return gains_N


def _f1_row(onsets_s: np.ndarray, events: Sequence[np.ndarray], *, within_s: float) -> list[float]:
    return [onset_f1(onsets_s, times, within_s=within_s) for times in events]
