"""The gate: which numbers a system must reach before it may be said to have learned.

Every system goes through the same checks, the model as well as the controls that have to fail them: a check that lets
a lookup table, a mean or a shuffle pass would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from operator import ge, gt, le
from typing import Any, Final, Literal

from pydantic import Field

from uniform_core.metrics.layers import stream_judged, video_first
from uniform_core.types import Fraction, Frozen, Modality, PositiveFloat, Task

Control = Literal["copier", "prototypes", "class_mean", "text_blind", "given_blind", "shuffled"]
CONTROLS: Final[tuple[Control, ...]] = ("copier", "prototypes", "class_mean", "text_blind", "given_blind", "shuffled")
Quantity = Literal["value", "low", "p", "over_codec", "over_real"]
Side = Literal["≥", ">", "≤"]
SIDES: Final[Mapping[Side, Callable[[float, float], bool]]] = {"≥": ge, ">": gt, "≤": le}
STREAMS: Final = {Modality.VIDEO: "picture", Modality.AUDIO: "sound"}


class GateConfig(Frozen):
    """The bounds: those of issue B, but for A2V's synchrony (V2A's here) and `loss_gap`, which have none there."""

    video_over_codec: PositiveFloat = 3.0  # Fréchet distance, times that of the codec round trip of held-out clips
    audio_over_codec: PositiveFloat = 10.0
    audio_goal: PositiveFloat = 5.0
    diversity_least: PositiveFloat = 0.5  # mean distance within the least varied class, over that of real clips
    diversity_most: PositiveFloat = 1.5
    coverage: Fraction = 0.5  # of that which real held-out clips have
    class_accuracy: Fraction = 0.80
    p: Fraction = 1e-3  # of every permutation test
    synchrony_given: Fraction = 0.60  # lower end of the 95 % interval, where a picture or a sound is given
    synchrony_text: Fraction = 0.55
    synchrony_given_goal: Fraction = 0.75
    synchrony_text_goal: Fraction = 0.70
    onset_f1_gain: Fraction = 0.10
    copying_z: float = Field(default=-3.0, le=0)
    copied_share: Fraction = 0.03
    loss_gap: PositiveFloat = 1.5  # held-out over training loss; the tiny preset has 1.0 to 1.4 (docs/experiments.md)


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "not computed"


@dataclass(frozen=True)
class Rule:
    """One line of the gate: a quantity of all scores of one metric, and the side of the bound that it must be on.

    `tasks` are those that it is asked of. `by_stream` True: there must be a score that judges the picture and one that
    judges the sound, where a task makes both. `stream` is the one that it speaks of, where it speaks of one alone.
    """

    name: str
    metric: str
    quantity: Quantity
    side: Side
    bound: float
    tasks: tuple[Task, ...]
    words: str
    goal: float | None = None
    by_stream: bool = False
    stream: Modality | None = None

    def streams_of(self, task: Task) -> tuple[Modality, ...]:
        """The streams of a task that a score each has to judge; none where it looks at both together."""
        if self.by_stream:
            return task.made
        return () if self.stream is None else (self.stream,)

    def scores_of(self, task: Task) -> int:
        """How many scores of a task it has to be asked of, at least."""
        return max(1, len(self.streams_of(task)))

    def holds(self, found: float, bound: float) -> bool:
        """Whether a number is on the right side of a bound."""
        return SIDES[self.side](found, bound)

    def asks_less_than(self, other: Rule) -> bool:
        """Whether its bound or its goal is one that does not hold by those of another form of the same rule."""
        pairs = ((self.bound, other.bound), (self.goal, other.goal))
        given = [(own, its) for own, its in pairs if own is not None and its is not None and own != its]
        return any(not other.holds(own, its) for own, its in given)

    @property
    def is_at_least(self) -> bool:
        """Whether more is better."""
        return self.side != "≤"


@dataclass(frozen=True)
class Check:
    """One rule asked of one score. `found` is the quantity that was judged, `score` the row that it comes from.

    `interval` is the 95 % interval of `found` in its own units, where there is one; of a ratio, what it is taken to is
    held for exact. `reason` says why nothing could be judged; `reaches_goal` is None where the rule has no goal.
    """

    rule: Rule
    system: str
    task: str
    name: str
    found: float | None
    score: Mapping[str, Any] | None
    reason: str | None = None
    interval: tuple[float, float] | None = None

    @property
    def verdict(self) -> Verdict:
        if self.found is None:
            return Verdict.UNKNOWN
        return Verdict.PASSED if self.rule.holds(self.found, self.rule.bound) else Verdict.FAILED

    @property
    def reaches_goal(self) -> bool | None:
        if self.rule.goal is None or self.found is None:
            return None
        return self.rule.holds(self.found, self.rule.goal)


ALL, PICTURE, SOUND = tuple(Task), (Task.T2AV, Task.A2V), (Task.T2AV, Task.V2A)
GIVEN = (Task.A2V, Task.V2A)


def rules_of(gate: GateConfig) -> tuple[Rule, ...]:
    """The lines of the gate, in the order in which people read them."""
    times, share = "times the codec round trip's", "of real clips'"
    each, looks, hears = (
        partial(Rule, by_stream=True),
        partial(Rule, stream=Modality.VIDEO),
        partial(Rule, stream=Modality.AUDIO),
    )
    return (
        looks("video fidelity", "fvd", "over_codec", "≤", gate.video_over_codec, PICTURE, times),
        hears("audio fidelity", "fad", "over_codec", "≤", gate.audio_over_codec, SOUND, times, goal=gate.audio_goal),
        each("enough diversity", "diversity_least", "value", "≥", gate.diversity_least, ALL, f"{share}, least class"),
        each("no more diversity", "diversity_most", "value", "≤", gate.diversity_most, ALL, f"{share}, most class"),
        each("coverage", "coverage", "over_real", "≥", gate.coverage, ALL, share),
        each("class", "class_accuracy", "value", "≥", gate.class_accuracy, ALL, "of clips"),
        Rule("colour as asked", "attribute_colour", "p", "≤", gate.p, (Task.T2AV,), "permutation p"),
        Rule("size as asked", "attribute_size", "p", "≤", gate.p, (Task.T2AV,), "permutation p"),
        Rule("pitch as asked", "attribute_pitch", "p", "≤", gate.p, (Task.T2AV,), "permutation p"),
        Rule(
            "synchrony given",
            "synchrony",
            "low",
            ">",
            gate.synchrony_given,
            GIVEN,
            "lower end of pair wins",
            goal=gate.synchrony_given_goal,
        ),
        Rule(
            "synchrony by text",
            "synchrony",
            "low",
            ">",
            gate.synchrony_text,
            (Task.T2AV,),
            "lower end of pair wins",
            goal=gate.synchrony_text_goal,
        ),
        Rule("synchrony of own partners", "synchrony", "p", "≤", gate.p, ALL, "permutation p"),
        Rule("onsets", "onset_f1_gain", "value", "≥", gate.onset_f1_gain, (Task.V2A,), "F1 above other clips'"),
        Rule("onsets of own partners", "onset_f1_gain", "p", "≤", gate.p, (Task.V2A,), "permutation p"),
        each("no copying", "copying_z", "value", "≥", gate.copying_z, ALL, "three-sample z, least class"),
        each("few near copies", "copied_share", "value", "≤", gate.copied_share, ALL, "of clips"),
        Rule("no gap of losses", "loss_gap", "value", "≤", gate.loss_gap, ALL, "held-out over training loss"),
    )


def looser_bounds(gate: GateConfig) -> tuple[str, ...]:
    """The bounds and goals of a gate that ask for less than the standard ones, as name and number: `loss_gap 99`."""
    standard = GateConfig()

    def is_looser(name: str, value: float) -> bool:
        changed = rules_of(standard.model_copy(update={name: value}))
        return any(own.asks_less_than(its) for own, its in zip(changed, rules_of(standard), strict=True))

    return tuple(f"{name} {value:g}" for name, value in gate if is_looser(name, value))


def judge(scores: Sequence[Mapping[str, Any]], gate: GateConfig, *, system: str, task: Task) -> list[Check]:
    """Every check of a system at a task. What was not measured, or of one stream only, says so."""
    found = {(row["name"], row["system"], row["task"]): row for row in scores}
    of_system = [row for row in scores if (row["system"], row["task"]) == (system, str(task))]
    checks = []
    for rule in rules_of(gate):
        if task not in rule.tasks:
            continue
        own = [row for row in of_system if row["name"].split(".")[0] == rule.metric]
        checks += [_checked(rule, row, found) for row in sorted(own, key=lambda row: video_first(row["name"]))]
        if not own:
            why = "this evaluation has no such metric" if of_system else "it was not evaluated at this task"
            checks.append(Check(rule, system, str(task), rule.metric, None, None, why))
        elif lost := set(rule.streams_of(task)) - {stream_judged(row["name"]) for row in own}:
            streams = " nor ".join(name for modality, name in STREAMS.items() if modality in lost)
            why = f"nothing that this evaluation has of it judges the {streams}"
            checks.append(Check(rule, system, str(task), rule.metric, None, None, why))
    return checks


BESIDE: Final[Mapping[str, str]] = {"over_codec": "codec_round_trip", "over_real": "real"}


def _checked(rule: Rule, row: Mapping[str, Any], found: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> Check:
    whole = partial(Check, rule, row["system"], row["task"], row["name"])
    number: float | None = row["value" if rule.quantity in BESIDE else rule.quantity]
    if number is None:
        unsaid = "too few clips for an interval" if rule.quantity == "low" else "nothing could be exchanged"
        return whole(None, row, row["reason"] or unsaid)
    unit = 1.0
    if rule.quantity in BESIDE:
        other = found.get((row["name"], BESIDE[rule.quantity], "all"))
        if (why := _why_no_ratio(row, other, BESIDE[rule.quantity])) is not None or other is None:
            return whole(None, row, why)
        unit = other["value"]
    low, high = (None, None) if rule.quantity in ("low", "p") else (row["low"], row["high"])
    return whole(number / unit, row, interval=None if low is None or high is None else (low / unit, high / unit))


def _why_no_ratio(row: Mapping[str, Any], other: Mapping[str, Any] | None, name: str) -> str | None:
    if other is None or other["value"] is None:
        return f"there is no value of {name} beside it"
    for side, words in (("n_generated", "clips"), ("n_reference", "reference clips")):
        if other[side] != row[side]:
            return f"{row[side]} {words} against {other[side]} of {name}: only equal numbers compare"
    if other["value"] <= 0:
        return f"{name} has {other['value']:.3g}: there is nothing to divide by"
    return None


def words_needed() -> tuple[str, ...]:
    """The metrics that the gate reads."""
    return tuple(dict.fromkeys(rule.metric for rule in rules_of(GateConfig())))
