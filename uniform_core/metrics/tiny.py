"""The metrics of the tiny preset: small nets, clips as the spec has them, no weights from anywhere."""

from __future__ import annotations

from typing import Literal

from uniform_core.metrics.attributes import AttributeConfig
from uniform_core.metrics.av_align import AvAlignConfig
from uniform_core.metrics.base import MODEL, MetricConfig
from uniform_core.metrics.class_accuracy import ClassAccuracyConfig
from uniform_core.metrics.coverage import CoverageConfig
from uniform_core.metrics.diversity import DiversityConfig
from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.inception import InceptionConfig
from uniform_core.metrics.kernel import KernelConfig
from uniform_core.metrics.kl import KlConfig
from uniform_core.metrics.layers import SKETCH_LAYER, SKETCHES
from uniform_core.metrics.loss_gap import LossGapConfig
from uniform_core.metrics.memorisation import MemorisationConfig
from uniform_core.metrics.onset_hits import OnsetHitsConfig
from uniform_core.metrics.protocol import Protocol
from uniform_core.metrics.synchrony import SynchronyConfig
from uniform_core.types import Modality

NAME = "uniform_tiny"
PARTNERS: tuple[Literal["own", "others"], ...] = ("own", "others")  # AV-align, and what chance gives
JUDGED = {"tinyvideo": Modality.VIDEO, "tinymel": Modality.AUDIO}  # the other extractors speak of both together
GAUGED = {"colour": Modality.VIDEO, "area": Modality.VIDEO, "pitch": Modality.AUDIO}


def tiny_metrics(*, classes: tuple[str, ...]) -> tuple[MetricConfig, ...]:
    """Every metric of the tiny preset; `classes` are those of the class nets, in the order of their logits.

    AV-align's rules are the published ones, its pictures and sounds are not: hence the end of its protocols' names.
    """

    def protocol(extractor: str, layer: str) -> Protocol:
        return Protocol(name=NAME, extractor=extractor, layer=layer, judges=JUDGED.get(extractor))

    def gauge(layer: str) -> Protocol:
        return Protocol(name=NAME, extractor="gauge", layer=layer, judges=GAUGED[layer])

    nets = ("tinyvideo", "tinymel")
    logits = [protocol(net, "logits") for net in nets]
    looks = [protocol(net, "features") for net in nets]
    sketches = [
        Protocol(name=NAME, extractor=extractor, layer=SKETCH_LAYER, judges=judged)
        for extractor, judged in SKETCHES.items()
    ]
    return (
        FrechetConfig(protocol=protocol("tinyvideo", "features"), word="fvd"),
        FrechetConfig(protocol=protocol("tinymel", "features"), word="fad"),
        KernelConfig(protocol=protocol("tinyvideo", "features"), word="kvd", by_class=True),
        KernelConfig(protocol=protocol("tinymel", "features"), word="kad", by_class=True),
        *(InceptionConfig(protocol=p, splits=1, seed=None) for p in logits),
        *(KlConfig(protocol=p) for p in logits),
        *(ClassAccuracyConfig(protocol=p, classes=classes) for p in logits),
        SynchronyConfig(protocol=protocol("tinysync", "embedding")),
        *(DiversityConfig(protocol=p, of=of) for p in looks for of in ("least", "most")),
        *(CoverageConfig(protocol=p) for p in looks),
        *(
            AttributeConfig(protocol=gauge(layer), attribute=attribute, unseen_only=unseen)
            for unseen in (False, True)
            for attribute, layer in (("colour", "colour"), ("size", "area"), ("pitch", "pitch"))
        ),
        OnsetHitsConfig(protocol=Protocol(name=NAME, extractor="librosa", layer="onsets_22050", judges=Modality.AUDIO)),
        *(MemorisationConfig(protocol=p, word=word) for p in sketches for word in ("copying_z", "copied_share")),
        LossGapConfig(protocol=Protocol(name=NAME, extractor=MODEL, layer="losses")),
        *(
            AvAlignConfig.of(rules, name=f"{rules}_tiny", partner=partner)
            for partner in PARTNERS
            for rules in ("tempotokens2025", "seeing_and_hearing")
        ),
    )
