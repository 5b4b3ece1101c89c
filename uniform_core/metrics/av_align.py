"""AV-align: how many onsets of sound fall on peaks of motion, by a named rule, from cached flow and onsets."""

from __future__ import annotations

from typing import Literal

import numpy as np

from uniform_core.metrics.alignment import RULES, TEMPOTOKENS_2025, AlignRule, alignment, motion_peaks
from uniform_core.metrics.base import ClipValues, Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.checks import differing_rates
from uniform_core.metrics.intervals import mean_interval
from uniform_core.metrics.protocol import Loading, Protocol
from uniform_core.types import Count

FLOW = Need(Side.GENERATED, "farneback", "flow")
RATE = Need(Side.GENERATED, "farneback", "rate_hz")


class AvAlignConfig(MetricConfig):
    """AV-align. A lower frame rate raises it by chance: print the chance level (`partner` others) beside it."""

    kind: Literal["av_align"] = "av_align"
    rule: AlignRule = TEMPOTOKENS_2025
    partner: Literal["own", "others"] = "own"  # others: each picture with the sound of `partners` other clips
    partners: Count = 8

    @classmethod
    def of(
        cls,
        rule: str,
        *,
        name: str,
        loading: Loading | None = None,
        partner: Literal["own", "others"] = "own",
        checks: tuple[str, ...] = (),
    ) -> AvAlignConfig:
        """The metric under one of the published rules.

        `name` is the protocol's. The rule's own name is for films as they were published; its thresholds are in pixels
        and its grid is the sound's rate, so that smaller pictures give another number.
        """
        protocol = Protocol(name=name, extractor="farneback", layer="flow", loading=loading, checks=checks)
        return cls(protocol=protocol, rule=RULES[rule], partner=partner)

    @classmethod
    def example(cls) -> AvAlignConfig:
        return cls.of("tempotokens2025", name="tempotokens2025", loading=Loading())

    @property
    def metric(self) -> str:
        return "av_align" if self.partner == "own" else "av_align_chance"

    @property
    def needs(self) -> tuple[Need, ...]:
        rate = self.rule.onset_rate_hz
        return (FLOW, RATE, Need(Side.GENERATED, "librosa", onset_layer(rate)))

    def measure(self, inputs: Inputs) -> Measured | str:
        total = len(inputs[FLOW])
        if self.partner == "others" and total < 2:
            return "1 item has no other clip to borrow the sound of"
        values = self.clip_values(inputs)
        if not values:
            return f"none of {total} clips has an onset of sound or a peak of motion"
        values_N = np.array(list(values.values()))
        low, high = mean_interval(values_N)
        empty = total - len(values)
        warnings: tuple[str, ...] = (f"{empty} clips with neither onset nor peak were left out",) if empty else ()
        mixed = differing_rates({"generated": inputs[RATE]})
        warnings += () if mixed is None else ("frame rates differ, and with them what counts as a match by chance",)
        return Measured(float(values_N.mean()), low, high, n_generated=len(values), n_reference=0, warnings=warnings)

    def clip_values(self, inputs: Inputs) -> dict[str, float]:
        """The value of each clip by key; clips with neither onset nor peak are missing."""
        flows, rates, onsets = (inputs[need] for need in self.needs)
        n = len(flows)
        shifts = [0] if self.partner == "own" else _spread(n, self.partners)
        values: dict[str, float] = {}
        for index, key in enumerate(flows.keys):
            rate_hz = float(rates.values[index])
            peaks = motion_peaks(flows.values[index], rate_hz, rule=self.rule)
            sounds = (onsets.values[(index + shift) % n].tolist() for shift in shifts)
            found = [alignment(sound, peaks, rate_hz=rate_hz, rule=self.rule) for sound in sounds]
            defined = [value for value in found if value is not None]
            if defined:
                values[key] = float(np.mean(defined))
        return values

    def clip_measures(self, inputs: Inputs) -> tuple[ClipValues, ...]:
        """Also how many onsets and peaks of motion each clip has: a value of few of them tells little."""
        own = super().clip_measures(inputs)
        if self.partner == "others":
            return own
        flows, rates, onsets = (inputs[need] for need in self.needs)
        peaks = [
            len(motion_peaks(flow, float(rate), rule=self.rule))
            for flow, rate in zip(flows.values, rates.values, strict=True)
        ]
        counts = {
            self.named("onset_count", extractor="librosa"): [sound.size for sound in onsets.values],
            self.named("motion_peak_count"): peaks,
        }
        return (
            *own,
            *(
                ClipValues(name, dict(zip(flows.keys, map(float, found), strict=True)))
                for name, found in counts.items()
            ),
        )


def onset_layer(onset_rate_hz: int | None) -> str:
    """The layer of extractor `librosa` that holds onsets found at this rate."""
    return f"onsets_{onset_rate_hz or 'native'}"


def onset_rate_hz(layer: str) -> int | None:
    """The rate of `onset_layer`; None for the clip's own."""
    rate = layer.removeprefix("onsets_")
    return None if rate == "native" else int(rate)


def _spread(n: int, partners: int) -> list[int]:
    """Up to `partners` shifts in 1 … n − 1, evenly spread."""
    count = min(partners, n - 1)
    return sorted({1 + index * (n - 1) // count for index in range(count)})
