"""Which printed values may be set beside which of ours: equal protocol, equal data, equal clips; else why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uniform_core.paper_tables.conditions import Condition
from uniform_core.paper_tables.values import BASES, MARKED, Mark, PaperValue


@dataclass(frozen=True)
class Setting:
    """What our numbers of a condition stand on: `data` in words, `clips` of `split_clips` in the evaluated split."""

    data: str
    is_paper_data: bool
    clip_s: float
    clips: int
    split_clips: int


@dataclass(frozen=True)
class Measured:
    """One number of ours under a condition, by its whole name. `value` None: `reason` says why there is none.

    `is_chance` where each picture has the sounds of other clips: what AV-align comes to by chance.
    """

    condition: Condition
    metric: str
    name: str
    protocol_hash: str
    value: float | None
    low: float | None
    high: float | None
    n_generated: int
    n_reference: int
    reason: str | None
    is_chance: bool = False

    @classmethod
    def of_row(cls, row: Mapping[str, Any], *, condition: Condition, metric: str, is_chance: bool) -> Measured:
        """That of a row of `scores`."""
        names = ("name", "protocol_hash", "value", "low", "high", "n_generated", "n_reference", "reason")
        return cls(condition, metric, **{name: row[name] for name in names}, is_chance=is_chance)


@dataclass(frozen=True)
class Compared:
    """Whether a printed value compares with ours: `reasons` say why not, `beside` is the name of ours.

    `doubt` is what the comparison stands on where it may be made.
    """

    reasons: tuple[str, ...]
    beside: str | None = None
    doubt: str | None = None

    @property
    def is_comparable(self) -> bool:
        return not self.reasons


def compared(value: PaperValue, ours: Sequence[Measured], setting: Setting | str) -> Compared:
    """Whether a printed value may be set beside our numbers of its column; `setting` a text: why there are none."""
    reasons = [*_of_the_value(value)]
    if isinstance(setting, str):
        return Compared((*reasons, f"no number here: {setting}"))
    same = next((number for number in ours if number.name == value.protocol and not number.is_chance), None)
    reasons += _of_the_protocol(value, ours) if same is None else _of_the_number(same)
    reasons += _of_the_clips(value, setting)
    if reasons:
        return Compared(tuple(reasons))
    assert same is not None, "without a number of the same protocol there is a reason"
    return Compared((), same.name, f"its protocol is {value.strength}: {BASES[value.basis]}")


def _of_the_value(value: PaperValue) -> list[str]:
    if value.mark is Mark.RECONSTRUCTED:
        return ["its row was put together from a garbled text: no number to compare with"]
    if value.mark is Mark.AUDIOCLIP:
        return [f"{MARKED[value.mark]}: another extractor and another scale than the column's other rows"]
    return []


def _of_the_protocol(value: PaperValue, ours: Sequence[Measured]) -> list[str]:
    if value.protocol is None:
        return [f"its protocol is not known: {BASES[value.basis]}"]
    names = ", ".join(dict.fromkeys(number.name for number in ours if not number.is_chance))
    return [f"other protocol: {value.protocol} there ({value.strength}), {names or 'no such metric'} here"]


def _of_the_number(number: Measured) -> list[str]:
    return [] if number.value is not None else [f"no number here: {number.reason}"]


def _of_the_clips(value: PaperValue, setting: Setting) -> list[str]:
    reasons = []
    if not setting.is_paper_data:
        reasons.append(f"other data: {value.dataset} there, {setting.data} here")
    if value.clip_s is None:
        reasons.append(f"clips of unknown length there, {setting.clip_s:g} s here")
    elif value.clip_s != setting.clip_s:
        reasons.append(f"clips of {value.clip_s:g} s there, {setting.clip_s:g} s here")
    if value.clips is not None and value.clips != setting.clips:
        reasons.append(f"{value.clips} clips there, {setting.clips} here")
    elif value.clips is None and setting.clips < setting.split_clips:
        reasons.append(f"unknown number of clips there, {setting.clips} of the split's {setting.split_clips} here")
    return reasons
