"""Which numbers are made of somebody's clips: the metrics of named protocols that a task and the files allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from uniform_core.errors import ConfigError, nearest
from uniform_core.metrics.base import MetricConfig, Side
from uniform_core.metrics.extrapolation import Extrapolation
from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.originals.extractors import OriginalExtractor
from uniform_core.metrics.originals.wanted import PublishedNets, extractor_named
from uniform_core.metrics.protocols import PROTOCOLS, ProtocolSet
from uniform_core.metrics.published.configs import PublishedConfig
from uniform_core.metrics.published.scripted import ScriptConfig
from uniform_core.types import Modality, Task

NEAREST_BY: Final = {Modality.VIDEO: "i3d400", Modality.AUDIO: "cnn14_16k"}


@dataclass(frozen=True)
class NotMade:
    """A number that goes by a protocol's name, or a baseline, and is not made here, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Asked:
    """The metrics that are made, in the order of their protocols, and what is not."""

    metrics: tuple[MetricConfig, ...]
    not_made: tuple[NotMade, ...]

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(metric.protocol.name for metric in self.metrics))


def protocols_named(names: Sequence[str]) -> list[ProtocolSet]:
    """The protocols of these names, each once. Raises ConfigError that says the name that is nearest."""
    for name in names:
        if name not in PROTOCOLS:
            known = f"one of {', '.join(PROTOCOLS)}"
            raise ConfigError("--protocol", expected=known, found=repr(name), fix=nearest(name, PROTOCOLS))
    return [PROTOCOLS[name] for name in dict.fromkeys(names)]


@dataclass(frozen=True)
class WantedNumbers:
    """Which numbers of the protocols are wanted. `only`: of these whole names; None: all.

    `without_missing` tells those whose weights are not there as not made. `infinite` adds each Fréchet distance of
    infinitely many clips.
    """

    only: frozenset[str] | None = None
    without_missing: bool = False
    infinite: bool = False

    def has(self, name: str) -> bool:
        return self.only is None or name in self.only


def asked_of(
    protocols: Sequence[ProtocolSet], task: Task, nets: PublishedNets, *, has_reference: bool, wanted: WantedNumbers
) -> Asked:
    """What is made under the protocols at a task. Raises ConfigError where that is nothing."""
    metrics: list[MetricConfig] = []
    not_made: list[NotMade] = []
    for protocol in protocols:
        for metric in filter(lambda one: wanted.has(one.name), protocol.metrics):
            why_not = _why_not(metric, task, nets, has_reference=has_reference)
            if why_not is None and wanted.without_missing:
                why_not = _missing_weights(metric, nets)
            if why_not is not None:
                not_made.append(NotMade(metric.name, why_not))
                continue
            metrics.append(metric)
            if wanted.infinite and isinstance(metric, FrechetConfig):
                metrics.append(metric.model_copy(update={"infinite": Extrapolation()}))
        if wanted.only is None:
            not_made += [NotMade(f"{protocol.name}: {gap.metric}", gap.reason) for gap in protocol.missing]
    if not metrics and not wanted.without_missing:
        raise ConfigError(
            "--protocol",
            expected=f"a protocol that has a number for {task}",
            found="; ".join(f"{gap.what}: {gap.reason}" for gap in not_made[:3]),
            fix="Name another one (`uniform protocols list`), or give what is missing.",
        )
    return Asked(tuple(metrics), tuple(not_made))


def needs_reference(metric: MetricConfig) -> bool:
    """Whether a metric compares with real clips."""
    return any(need.side is Side.REFERENCE for need in metric.needs)


def _why_not(metric: MetricConfig, task: Task, nets: PublishedNets, *, has_reference: bool) -> str | None:
    judged = metric.protocol.judges
    if judged is not None and judged not in task.made:
        return f"{task} is given the {'picture' if judged == 'video' else 'sound'} and does not make it"
    if needs_reference(metric) and not has_reference:
        return "it compares with real clips, and there are none: --reference"
    for extractor in extractors_of([metric], nets):
        config = getattr(extractor, "config", None)
        if isinstance(config, ScriptConfig) and not config.allow_code:
            return f"{config.weights} is a TorchScript file, a program, and runs only with --allow-code"
    return None


def _missing_weights(metric: MetricConfig, nets: PublishedNets) -> str | None:
    """What is wrong with the weights of a metric's nets, and what to do."""
    try:
        require_weights([metric], nets)
    except ConfigError as error:
        return str(error)
    return None


def extractors_of(metrics: Sequence[MetricConfig], nets: PublishedNets) -> list[OriginalExtractor]:
    """The extractors behind metrics, each once."""
    names = dict.fromkeys(need.extractor for metric in metrics for need in metric.features)
    return [extractor_named(name, (), nets) for name in names]


def nearest_by(protocols: Sequence[ProtocolSet], task: Task) -> MetricConfig | None:
    """The metric by whose features retrieval compares what is given: the first whose net looks at that stream."""
    if task.given is None:
        return None
    every = (metric for protocol in protocols for metric in protocol.metrics)
    return next((metric for metric in every if metric.protocol.extractor == NEAREST_BY[task.given]), None)


def require_weights(metrics: Sequence[MetricConfig], nets: PublishedNets) -> None:
    """The weights of all nets are there, and theirs. Raises ConfigError that says which file is missing."""
    for extractor in extractors_of(metrics, nets):
        config = getattr(extractor, "config", None)
        if isinstance(config, PublishedConfig):
            config.require_weights()


def nets_from(words: Sequence[str], *, allow_code: bool) -> PublishedNets:
    """The nets with the weights that words `name=path` give. Raises ConfigError for a name that no net goes by."""
    plain = PublishedNets()
    fields: Mapping[str, str] = {getattr(plain, field).weights: field for field in type(plain).model_fields}
    given: dict[str, str] = {}
    for word in words:
        name, _, path = word.partition("=")
        if name not in fields or not path:
            raise ConfigError(
                "--weights",
                expected=f"NAME=PATH, NAME one of {', '.join(fields)}",
                found=repr(word),
                fix=nearest(name, fields) if name not in fields else "Say the path.",
            )
        # A word of letters alone is a name of the manifest: a path has to look like one.
        given[fields[name]] = path if path.startswith(("/", "./", "../", "~")) else f"./{path}"
    return _with(plain, lambda field, config: _changed(config, given.get(field), allow_code=allow_code))


def _changed(config: PublishedConfig, path: str | None, *, allow_code: bool) -> PublishedConfig:
    update = {} if path is None else {"weights": path}
    return config.model_copy(update=update | ({"allow_code": allow_code} if isinstance(config, ScriptConfig) else {}))


def _with(nets: PublishedNets, change: Callable[[str, PublishedConfig], PublishedConfig]) -> PublishedNets:
    return nets.model_copy(update={field: change(field, getattr(nets, field)) for field in type(nets).model_fields})
