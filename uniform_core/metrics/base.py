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
from pydantic import model_validator

from uniform_core.errors import ConfigError
from uniform_core.families import Member
from uniform_core.fingerprint import digest
from uniform_core.metrics.checks import MOVEMENT, PEAK, RATE, differing_rates, left_out, silent, still
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
Lacking = Mapping[tuple[Side, str], Mapping[str, str]]  # side and extractor → clip → why it has no features


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
    precisions: ClassVar[tuple[str, ...]] = ("float64",)  # of `Protocol.precision`

    protocol: Protocol

    @model_validator(mode="after")
    def _knows_its_precision(self) -> MetricConfig:
        if self.protocol.precision not in self.precisions:
            known = " or ".join(self.precisions)
            raise ValueError(f"protocol.precision of {self.kind} must be {known}, found {self.protocol.precision}")
        return self

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
        return (*(need for need in self.needs if need.extractor not in KNOWN), *self.checked)

    @property
    def checked(self) -> tuple[Need, ...]:
        """What the protocol checks in the clips of every side that the metric reads."""
        pairs = [check.split("/") for check in self.protocol.checks]
        sides = dict.fromkeys((need.side, need.extractor) for need in self.needs)
        return tuple(Need(side, named, layer) for named, layer in pairs for side, of in sides if of == named)

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

    def score(self, inputs: Inputs, lacking: Lacking | None = None) -> Score:
        """The score, whatever was handed in: a null score with a reason where it cannot be computed.

        `lacking` names the clips that belong to a side and have no features: a number on the others would be another
        set's. Raises ConfigError where a set that the metric declared in `needs` or `checked` was not handed in.
        """
        for need in (*self.needs, *self.checked):
            if need not in inputs:
                found = ", ".join(f"{n.side}:{n.extractor}/{n.layer}" for n in inputs) or "nothing"
                raise ConfigError(
                    self.name,
                    expected=f"features {need.side}:{need.extractor}/{need.layer}",
                    found=found,
                    fix="Hand in every set that `needs` names.",
                )
        counts = {side: self._count(inputs, side) for side in SIDES}
        problem = self._incomplete(inputs, lacking or {}) or self._problem(inputs) or self._meaningless(inputs)
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
            warnings=self._too_few(counts, measured) + self._odd_clips(inputs) + measured.warnings,
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
        for need in (*self.needs, *self.checked):
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

    def _incomplete(self, inputs: Inputs, lacking: Lacking) -> str | None:
        """Which clips have no features, in words; None where all have."""
        reasons = (
            left_out(need.side, need.extractor, len(inputs[need]), lacking.get((need.side, need.extractor), {}))
            for need in self.needs
        )
        return next(filter(None, reasons), None)

    def _meaningless(self, inputs: Inputs) -> str | None:
        """Why a number on these clips would mean nothing, in words; None where it means something."""
        rates = {str(need.side): inputs[need] for need in self.checked if need.layer == RATE}
        for need in self.checked:
            total = len(inputs[need])
            if need.layer == PEAK and total and silent(inputs[need]) == total:
                return f"every {need.side} clip is silent ({total} of {total})"
        return differing_rates(rates)

    def _odd_clips(self, inputs: Inputs) -> tuple[str, ...]:
        """How many clips of each side are silent, or still."""
        found = [
            (count(inputs[need]), need.side, word)
            for need in self.checked
            for layer, count, word in ((PEAK, silent, "silent"), (MOVEMENT, still, "still"))
            if need.layer == layer
        ]
        return tuple(f"{count} {side} clips are {word}" for count, side, word in found if count)

    def _too_few(self, counts: Mapping[Side, int], measured: Measured) -> tuple[str, ...]:
        asked = self.protocol.items
        sides = dict.fromkeys(need.side for need in self.needs)
        few = (
            f"{counts[s]} {s} items where the protocol asks for {asked}"
            for s in sides
            if asked and s in counts and counts[s] < asked
        )
        ones = [s for s in sides if counts.get(s) == 1] if measured.low is None else []
        alone = (f"1 {s} clip: a number without an interval" for s in ones)
        return (*few, *alone)
