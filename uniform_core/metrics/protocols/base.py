"""What a named protocol is: the metrics that it scores, each with all that its number depends on, and what it lacks."""

from __future__ import annotations

from dataclasses import dataclass

from uniform_core.errors import ConfigError
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.loading import Loading
from uniform_core.metrics.protocol import Protocol
from uniform_core.types import Modality


@dataclass(frozen=True)
class Missing:
    """A number that goes by the protocol's name elsewhere and is not made here, and why."""

    metric: str
    reason: str


@dataclass(frozen=True)
class ProtocolSet:
    """A protocol by name. `source` is the code, and its revision, that the constants are taken from."""

    name: str
    about: str
    source: str
    metrics: tuple[MetricConfig, ...]
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """32 hex digits of every metric: another constant anywhere is another protocol."""
        return digest([metric.protocol_hash for metric in self.metrics])

    def metric(self, name: str) -> MetricConfig:
        """The metric of a score's name. Raises ConfigError that lists those that there are."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        known = ", ".join(metric.name for metric in self.metrics)
        raise ConfigError(f"protocol {self.name}", expected=f"one of {known}", found=name, fix="Name one of these.")


def sound_protocol(name: str, extractor: str, layer: str, loading: Loading, *, items: int | None = None) -> Protocol:
    """A protocol of metrics that listen: all silence gives no number."""
    return Protocol(
        name=name,
        extractor=extractor,
        layer=layer,
        judges=Modality.AUDIO,
        loading=loading.only(Modality.AUDIO),
        items=items,
        checks=(f"{extractor}/peak",),
    )


def picture_protocol(name: str, extractor: str, layer: str, loading: Loading, *, items: int | None = None) -> Protocol:
    """A protocol of metrics that look: still clips are counted; where rates are the files' own, all must be one."""
    video = loading.video
    own_rates = (f"{extractor}/rate_hz",) if video is not None and video.rate_hz is None else ()
    return Protocol(
        name=name,
        extractor=extractor,
        layer=layer,
        judges=Modality.VIDEO,
        loading=loading.only(Modality.VIDEO),
        items=items,
        checks=(*own_rates, f"{extractor}/movement"),
    )
