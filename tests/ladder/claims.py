"""What each metric should do on each ladder, said before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from ladder.degradations import LADDERS
from ladder.takes import DATA
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.coverage import CoverageConfig
from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.inception import InceptionConfig
from uniform_core.metrics.kernel import KernelConfig, Subsets
from uniform_core.metrics.protocols import PROTOCOLS
from uniform_core.metrics.tiny import tiny_metrics


class Claim(StrEnum):
    """What is expected of a metric as the rungs go up."""

    UP = "up"
    DOWN = "down"
    SAME = "same"  # blind: nothing that it reads is changed, so that its value stays to rounding
    LEVEL = "level"  # blind: what it reads is changed, but not for the worse, so that it has no trend
    OPEN = "open"  # it is not made to judge this, and is not blind to it either: measured, nothing expected


# By the first two words of a metric's name, in the order of LADDERS: blur, noise | noise, low-pass | shift, partner.
CLAIMS: Mapping[str, str] = {
    "fvd.i3d400": "up up same same same same",
    "kvd.i3d400": "up up same same same same",
    "fad.vggish16k": "same same up up level same",
    "fd.cnn14_16k": "same same up up level same",
    "kid.cnn14_16k": "same same up up level level",  # its subsets are drawn by place: exchanged sounds are drawn anew
    "is.cnn14_16k": "same same down down level same",
    "kl.cnn14_16k": "same same up up up up",
    "kl_sigmoid.cnn14_16k": "same same up up up up",
    "av_align.farneback": "open open open open down down",
    # Not level by partners: where sounds are exchanged, a picture meets its own among those of the others.
    "av_align_chance.farneback": "open open open open level open",
    "fvd.tinyvideo": "up up same same same same",
    "kvd.tinyvideo": "up up same same same same",
    "is.tinyvideo": "down down same same same same",
    "kl.tinyvideo": "up up same same same same",
    "class_accuracy.tinyvideo": "down down same same same same",
    "coverage.tinyvideo": "down down same same same same",
    "fad.tinymel": "same same up up level same",
    "kad.tinymel": "same same up up level open",  # by class, and an exchanged sound counts for its picture's class
    "is.tinymel": "same same down down level same",
    "kl.tinymel": "same same up up up up",
    "class_accuracy.tinymel": "same same down down level down",
    "coverage.tinymel": "same same down down level same",
    "synchrony.tinysync": "open open open open down down",
    "onset_f1_gain.librosa": "same same open open down down",
}

# What has no row, by the beginning of its name, and why.
LEFT_OUT: Mapping[str, str] = {
    "is.c3d_ucf101": "a TorchScript file is code of others: the rule can make its weights, not the net",
    "fvd.i3d400_torchscript": "the same; `fvd.i3d400.styleganv` is its number by our own class",
    "diversity_": "how far clips of one class are apart may rise or fall as they get worse",
    "attribute_": "whether the caption's colour, size and pitch are there: its ladder would be wrong captions",
    "copying_z": "near which training clips a model's clips are: no degradation of clips",
    "copied_share": "the same",
    "loss_gap": "speaks of a model's losses, not of clips",
}


def every_metric() -> tuple[MetricConfig, ...]:
    """The metrics of all protocols and of the tiny preset."""
    published = (metric for named in PROTOCOLS.values() for metric in named.metrics)
    return (*published, *tiny_metrics(classes=tuple(sorted(DATA.labels))))


def rows() -> tuple[MetricConfig, ...]:
    """The metrics that climb, as they are for groups of few clips."""
    return tuple(_for_few(metric) for metric in every_metric() if stem_of(metric.name) in CLAIMS)


def claims_of(name: str) -> Mapping[str, Claim]:
    """What is expected of the metric of this name, by ladder."""
    return dict(zip(LADDERS, map(Claim, CLAIMS[stem_of(name)].split()), strict=True))


def stem_of(name: str) -> str:
    """The first two words of a metric's name."""
    return name.rpartition(".")[0]


def _for_few(metric: MetricConfig) -> MetricConfig:
    """No interval, which nothing here asks for; subsets, neighbours and splits for groups of four to twelve clips."""
    if isinstance(metric, FrechetConfig):
        return metric.model_copy(update={"groups": 0})
    if isinstance(metric, KernelConfig) and metric.subsets is not None:
        return metric.model_copy(update={"subsets": Subsets(count=100, size=3, seed=metric.subsets.seed)})
    if isinstance(metric, CoverageConfig):
        return metric.model_copy(update={"k": 2})
    if isinstance(metric, InceptionConfig):
        return metric.model_copy(update={"splits": 1, "seed": None})
    return metric
