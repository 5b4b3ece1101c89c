"""Two systems beside each other: every score that both have under one protocol, and the clips that both made.

A score that is a mean over clips is compared clip by clip, over the clips that both have. Any other one is compared by
the two intervals, and only where both stand on the same real clips. Nets have to be the same in either case.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.corpus.evaluations import Contender
from uniform_core.metrics.direction import gain
from uniform_core.metrics.paired import PairedDifference, holm, paired_difference, unpaired_interval

Verdict = Literal["better", "worse", ""]
Row = Mapping[str, Any]
Place = tuple[str, str]  # task and name


@dataclass(frozen=True)
class ScoreDifference:
    """One score of both: other − base, with its 95 % interval where there is one.

    `pairs` is how many clips it was compared on clip by clip, None where by the two intervals; then `p` is None too.
    `p_holm` is p corrected for all scores of the comparison that have one.
    `verdict` is that of the interval; empty where it holds 0, or neither way is better. `remark` says what is unknown.
    """

    task: str
    name: str
    base: Row  # of `scores`
    other: Row
    difference: float
    low: float | None
    high: float | None
    p: float | None
    pairs: int | None
    verdict: Verdict
    remark: str = ""
    p_holm: float | None = None


@dataclass(frozen=True)
class Incomparable:
    """A score that cannot be compared, and why."""

    task: str
    name: str
    reason: str


@dataclass(frozen=True)
class ClipMeasure:
    """One number of one clip that both made."""

    name: str
    base: float
    other: float


@dataclass(frozen=True)
class ClipChange:
    """A clip that both made: how much better the other's is. `name` is that of its file, where the id does not tell it.

    `gain` is the mean over its measures of the difference in standard deviations of that measure's differences; above 0
    where the other's is better.
    """

    task: str
    clip_id: str
    gain: float
    measures: tuple[ClipMeasure, ...]
    name: str | None = None


@dataclass(frozen=True)
class MeasureChange:
    """One measure over the clips that both made; `better`, `worse` and `same` count clips."""

    task: str
    name: str
    difference: PairedDifference
    better: int
    worse: int
    same: int


@dataclass(frozen=True)
class Comparison:
    """What became of the base in the other. `clips` are ordered by task, the most improved first."""

    base: Contender
    other: Contender
    scores: tuple[ScoreDifference, ...]
    incomparable: tuple[Incomparable, ...]
    measures: tuple[MeasureChange, ...]
    clips: tuple[ClipChange, ...]


def compare(catalog: Catalog, base: Contender, other: Contender) -> Comparison:
    """Everything that both have in common, and what cannot be compared."""
    every = [_scores_of(catalog, one) for one in (base, other)]
    beside = {place: _beside(*(rows.get(place, []) for rows in every)) for place in sorted({*every[0], *every[1]})}
    why = {place: _why_not(*rows, base, other) for place, rows in beside.items()}
    both = [place for place, reason in why.items() if reason is None]
    ours, theirs = ({place: row for place in both if (row := beside[place][side]) is not None} for side in (0, 1))
    pairs = _clip_pairs(catalog, [(ours[place]["work_key"], theirs[place]["work_key"]) for place in both])
    measures = [_measure_change(place, rows) for place, rows in sorted(pairs.items())]
    by_place = {(change.task, change.name): change for change in measures}
    compared = [_difference(place, ours[place], theirs[place], by_place.get(place)) for place in both]
    return Comparison(
        base,
        other,
        _corrected([one for one in compared if isinstance(one, ScoreDifference)]),
        (
            *(Incomparable(*place, reason) for place, reason in why.items() if reason is not None),
            *(one for one in compared if isinstance(one, Incomparable)),
        ),
        tuple(measures),
        tuple(_clip_changes(pairs)),
    )


def _corrected(scores: Sequence[ScoreDifference]) -> tuple[ScoreDifference, ...]:
    """The scores with their p values corrected for how many there are."""
    by_chance = [(at, score.p) for at, score in enumerate(scores) if score.p is not None]
    places, p_values = [at for at, _ in by_chance], [p for _, p in by_chance]
    of_place = dict(zip(places, holm(p_values), strict=True))
    return tuple(replace(score, p_holm=of_place.get(at)) for at, score in enumerate(scores))


def _scores_of(catalog: Catalog, one: Contender) -> dict[Place, list[Row]]:
    """The scores of each task and name, the newest last: one evaluation may have a metric under several protocols."""
    rows = catalog.rows(
        "SELECT * FROM scores WHERE stage_fp = ? AND system = ? ORDER BY created_at, work_key",
        parameters=[one.evaluation.evaluation, one.system],
    )
    by_place: defaultdict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        by_place[row["task"], row["name"]].append(row)
    return by_place


def _beside(ours: Sequence[Row], theirs: Sequence[Row]) -> tuple[Row | None, Row | None]:
    """The newest two under one protocol; where there are none, the newest of either."""
    for mine in reversed(ours):
        for other in reversed(theirs):
            if mine["protocol_hash"] == other["protocol_hash"]:
                return mine, other
    return (ours[-1] if ours else None), (theirs[-1] if theirs else None)


def _why_not(ours: Row | None, theirs: Row | None, base: Contender, other: Contender) -> str | None:
    """Why two scores cannot be compared, whatever they stand on; None where they can."""
    if ours is None or theirs is None:
        return f"only {(other if ours is None else base).name} has it"
    if ours["protocol_hash"] != theirs["protocol_hash"]:
        return f"protocols differ: {ours['protocol_hash'][:8]} and {theirs['protocol_hash'][:8]}"
    for row, of in ((ours, base), (theirs, other)):
        if row["value"] is None:
            return f"not computed for {of.name}: {row['reason']}"
    nets = [json.loads(row["extractors"] or "{}") for row in (ours, theirs)]
    if odd := sorted(name for name in nets[0].keys() & nets[1].keys() if nets[0][name] != nets[1][name]):
        return f"measured by different nets: {', '.join(odd)}"
    return None


def _difference(place: Place, ours: Row, theirs: Row, clips: MeasureChange | None) -> ScoreDifference | Incomparable:
    digests = [row["clips_digest"] for row in (ours, theirs)]
    if clips is None and None not in digests and digests[0] != digests[1]:
        return Incomparable(*place, "measured on different real clips, with no values of common ones")
    if clips is not None:
        paired = clips.difference
        low, high, difference, p, n = paired.low, paired.high, paired.mean, paired.p, paired.n
    else:
        difference, p, n = theirs["value"] - ours["value"], None, None
        low, high = _interval(ours, theirs)
    unknown = clips is None and None in digests
    return ScoreDifference(
        *place,
        ours,
        theirs,
        difference,
        low,
        high,
        p,
        n,
        _verdict(place[1], low, high),
        "it is not known whether the real clips were the same" if unknown else "",
    )


def _interval(ours: Row, theirs: Row) -> tuple[float, float] | tuple[None, None]:
    triples = [(row["value"], row["low"], row["high"]) for row in (ours, theirs)]
    return (None, None) if any(None in triple for triple in triples) else unpaired_interval(*triples)


def _verdict(name: str, low: float | None, high: float | None) -> Verdict:
    if low is None or high is None or low <= 0.0 <= high:
        return ""
    way = gain(name, low)
    return "better" if way > 0 else "worse" if way < 0 else ""


Pairs = Mapping[Place, Sequence[Row]]  # rows with clip_id, clip_name, base, other, in the order of clip ids


def _clip_pairs(catalog: Catalog, keys: Sequence[tuple[str, str]]) -> Pairs:
    """The values of the clips that both have, by task and name of the measure."""
    table = pa.table({
        "base_key": pa.array([base for base, _ in keys], pa.string()),
        "other_key": pa.array([other for _, other in keys], pa.string()),
    })  # fmt: skip
    rows = catalog.rows(
        """
        SELECT a.task, a.name, a.clip_id, a.value AS base, b.value AS other,
            coalesce(a.clip_name, b.clip_name) AS clip_name
        FROM pairs p
        JOIN clip_scores a ON a.score_key = p.base_key
        JOIN clip_scores b ON b.score_key = p.other_key AND b.name = a.name AND b.clip_id = a.clip_id
        ORDER BY a.task, a.name, a.clip_id
        """,
        tables={"pairs": table},
    )
    by_place: defaultdict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        by_place[row["task"], row["name"]].append(row)
    return by_place


def _measure_change(place: Place, rows: Sequence[Row]) -> MeasureChange:
    base_N, other_N = _columns(rows)
    gains = [gain(place[1], difference) for difference in (other_N - base_N).tolist()]
    better, worse = sum(one > 0 for one in gains), sum(one < 0 for one in gains)
    return MeasureChange(
        *place, paired_difference(base_N, other_N), better=better, worse=worse, same=len(gains) - better - worse
    )


def _clip_changes(pairs: Pairs) -> list[ClipChange]:
    gains: defaultdict[Place, list[float]] = defaultdict(list)
    measures: defaultdict[Place, list[ClipMeasure]] = defaultdict(list)
    names: dict[Place, str | None] = {}
    for (task, name), rows in pairs.items():
        base_N, other_N = _columns(rows)
        deviation = float((other_N - base_N).std(ddof=1)) if len(rows) > 1 else 0.0
        for row in rows:
            clip = (task, row["clip_id"])
            names[clip] = row["clip_name"]
            measures[clip].append(ClipMeasure(name, row["base"], row["other"]))
            if deviation > 0 and gain(name, 1.0):
                gains[clip].append(gain(name, row["other"] - row["base"]) / deviation)
    changes = [
        ClipChange(task, clip_id, float(np.mean(gains[task, clip_id] or [0.0])), tuple(found), names[task, clip_id])
        for (task, clip_id), found in measures.items()
    ]
    return sorted(changes, key=lambda change: (change.task, -change.gain, change.clip_id))


def _columns(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    base, other = (np.array([row[side] for row in rows], dtype=np.float64) for side in ("base", "other"))
    return base, other
