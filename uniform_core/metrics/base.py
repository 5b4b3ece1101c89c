"""What metrics are: feature sets in, one score out, under a named and hashed protocol.

A metric's name says what it stands on: `metric.extractor.protocol`, such as `fvd.tinyvideo.uniform_tiny`. It never
contains an `@` (MLflow refuses it). A score that cannot be computed has value None and a reason.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

import numpy as np

from uniform_core.errors import ConfigError
from uniform_core.families import Member
from uniform_core.fingerprint import digest
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.protocol import Protocol, Terms
from uniform_core.types import Modality


class Side(StrEnum):
    """Whose clips: those that a system made, or real ones that they are compared with."""

    GENERATED = "generated"
    REFERENCE = "reference"
    HELD_OUT = "held_out"  # of the evaluated split, behind the codecs: the model never saw them
    TRAINED = "trained"  # those that the model was trained on


SIDES = (Side.GENERATED, Side.REFERENCE)  # the two that most metrics compare


@dataclass(frozen=True)
class Need:
    """One feature set that a metric reads: a layer of an extractor over one side."""

    side: Side
    extractor: str
    layer: str


# What is known of a clip without looking at it, as if it were an extractor's layer; the evaluation fills it.
CLIPS: Final = "clips"  # facts that the catalog has; a generated clip has those of the clip that gave its condition
MEMORY: Final = "memory"  # the distance to the nearest clip that the model was trained on, by modality
MODEL: Final = "model"  # what training says of the model itself
KNOWN: Final = (CLIPS, MEMORY, MODEL)

LABELS_OF = {side: Need(side, CLIPS, "label") for side in Side}  # the class of each clip, a text
LABELS = LABELS_OF[Side.GENERATED]

Inputs = Mapping[Need, FeatureSet]


@dataclass(frozen=True)
class Measured:
    """A number with its 95 % interval, and how many items of each side it really stands on.

    `p` is the permutation p value of the number, where there is something to exchange.
    """

    value: float
    low: float | None
    high: float | None
    n_generated: int
    n_reference: int
    warnings: tuple[str, ...] = ()
    p: float | None = None


@dataclass(frozen=True)
class ClipValues:
    """What was measured of single clips: a name of the form that scores have, and each clip's value by its key."""

    name: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Score:
    """One number of one evaluation. Exactly one of `value` and `reason` is None.

    `low` and `high` are the ends of the 95 % interval, `p` is a permutation p value; None where none was asked for or
    can be given.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n_generated: int
    n_reference: int
    protocol: str
    protocol_hash: str
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    p: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"{self.name}: a score has a value or a reason, found {self.value!r} and {self.reason!r}")

    def as_row(self) -> dict[str, Any]:
        """The columns of the table `scores` that a score knows itself."""
        row = asdict(self)
        del row["warnings"]
        return row


class MetricConfig(Member):
    """Which metric, under which protocol. Frozen, and cheap to make.

    `version` is bumped by hand when the arithmetic changes its result; it enters `protocol_hash`.
    """

    version: ClassVar[int] = 1
    paired: ClassVar[bool] = False  # True where generated and reference clips are matched by key
    given: ClassVar[Modality | None] = None  # the modality that a system must be given for the number to mean something
    of_model: ClassVar[bool] = False  # True where it speaks of the model itself, not of what a system made
    min_items: ClassVar[int] = 1  # fewer on any side it reads give a null score

    protocol: Protocol

    @property
    @abstractmethod
    def metric(self) -> str:
        """The first word of the name."""

    @property
    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """The feature sets that `score` reads; the first of each side tells its count."""

    @property
    def features(self) -> tuple[Need, ...]:
        """The layers that extractors must fill first; the other needs are known of every clip."""
        return tuple(need for need in self.needs if need.extractor not in KNOWN)

    @abstractmethod
    def measure(self, inputs: Inputs) -> Measured | str:
        """The number, or the reason why there is none. Called with sets that are complete, finite and in key order."""

    def clip_values(self, inputs: Inputs) -> dict[str, float]:
        """The value of each generated clip by key, where the metric is a mean over clips; else empty."""
        del inputs
        return {}

    @property
    def by_clip(self) -> bool:
        """Whether `clip_measures` has values wherever there is a score."""
        return type(self).clip_values is not MetricConfig.clip_values

    def clip_measures(self, inputs: Inputs) -> tuple[ClipValues, ...]:
        """What is kept of single clips: the values that the score is the mean of. Called where there is a score."""
        return (ClipValues(self.name, self.clip_values(inputs)),) if self.by_clip else ()

    def named(self, word: str, *, extractor: str | None = None) -> str:
        """The name of a number that is measured on the way to this score, under the same protocol."""
        return f"{word}.{extractor or self.protocol.extractor}.{self.protocol.name}"

    def at(self, terms: Terms) -> MetricConfig:
        """The metric under a run's terms: other terms (spec, splits, numbers of clips) are another protocol_hash."""
        return self.model_copy(update={"protocol": self.protocol.at(terms)})

    @property
    def name(self) -> str:
        return self.named(self.metric)

    @property
    def protocol_hash(self) -> str:
        """32 hex digits of the protocol, the metric's own parameters and its version.

        Not of the clips themselves or the weights that looked: `stage_fp` and `extractors` of a score's row name those.
        """
        return digest({"metric": self.name, "version": self.version, "params": self.fingerprint_params()})

    def score(self, inputs: Inputs) -> Score:
        """The score, whatever was handed in: a null score with a reason where it cannot be computed.

        Raises ConfigError where a set that the metric declared in `needs` was not handed in.
        """
        for need in self.needs:
            if need not in inputs:
                found = ", ".join(f"{n.side}:{n.extractor}/{n.layer}" for n in inputs) or "nothing"
                raise ConfigError(
                    self.name,
                    expected=f"features {need.side}:{need.extractor}/{need.layer}",
                    found=found,
                    fix="Hand in every set that `needs` names.",
                )
        counts = {side: self._count(inputs, side) for side in SIDES}
        problem = self._problem(inputs)
        measured = problem if problem is not None else self.measure(inputs)
        if isinstance(measured, Measured) and not np.isfinite(measured.value):
            measured = f"the arithmetic gave {measured.value}"
        if isinstance(measured, str):
            return self._null(counts, reason=measured)
        counts = {Side.GENERATED: measured.n_generated, Side.REFERENCE: measured.n_reference}
        return Score(
            name=self.name,
            value=measured.value,
            low=measured.low,
            high=measured.high,
            p=measured.p,
            n_generated=measured.n_generated,
            n_reference=measured.n_reference,
            protocol=self.protocol.name,
            protocol_hash=self.protocol_hash,
            warnings=self._too_few(counts) + measured.warnings,
        )

    def _null(self, counts: Mapping[Side, int], *, reason: str) -> Score:
        return Score(
            name=self.name,
            value=None,
            low=None,
            high=None,
            n_generated=counts[Side.GENERATED],
            n_reference=counts[Side.REFERENCE],
            protocol=self.protocol.name,
            protocol_hash=self.protocol_hash,
            reason=reason,
        )

    def _count(self, inputs: Inputs, side: Side) -> int:
        return next((len(inputs[need]) for need in self.needs if need.side is side), 0)

    def _problem(self, inputs: Inputs) -> str | None:
        """Why the sets cannot be used, in words; None where they can."""
        first: dict[Side, FeatureSet] = {}
        for need in self.needs:
            found = inputs[need]
            if len(found) < self.min_items:
                return f"{len(found)} {need.side} items where at least {self.min_items} are needed"
            if (problem := found.problem()) is not None:
                return f"{need.side} {need.extractor}/{need.layer}: {problem}"
            keys = first.setdefault(need.side, found).keys
            if found.keys != keys:
                odd = sorted(set(found.keys) ^ set(keys))
                return f"{need.side} sets do not hold the same items: {len(odd)} differ, the first is {odd[0]}"
        return None

    def _too_few(self, counts: Mapping[Side, int]) -> tuple[str, ...]:
        asked = self.protocol.items
        sides = dict.fromkeys(need.side for need in self.needs)
        return tuple(
            f"{counts[s]} {s} items where the protocol asks for {asked}"
            for s in sides
            if asked and s in counts and counts[s] < asked
        )
