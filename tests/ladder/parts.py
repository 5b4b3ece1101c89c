"""The metrics in four parts, by what a clip costs them: each has as many groups as it can pay for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ladder.claims import rows
from uniform_core.metrics.base import MetricConfig


@dataclass(frozen=True)
class Part:
    """So many groups, each of so many clips of so many classes."""

    groups: int
    of_class: int
    classes: int


PARTS: Mapping[str, Part] = {
    "tiny": Part(groups=4, of_class=2, classes=6),
    "timing": Part(groups=3, of_class=1, classes=4),
    "sound": Part(groups=2, of_class=1, classes=4),
    "picture": Part(groups=2, of_class=1, classes=2),  # I3D: a second a clip and rung, for each of three rules
}

UNMEASURED: frozenset[str] = frozenset()  # parts that docs/ladder.json lacks, as docs/metrics.md says


def part_of(metric: MetricConfig) -> str:
    """The part that a metric is in."""
    if metric.protocol.loading is None:
        return "tiny"
    return {"i3d400": "picture", "farneback": "timing"}.get(metric.protocol.extractor, "sound")


def metrics_of(part: str) -> tuple[MetricConfig, ...]:
    """The metrics of a part."""
    return tuple(metric for metric in rows() if part_of(metric) == part)
