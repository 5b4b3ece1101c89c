"""Systems that only put together what is there: the retrieval baseline, and controls that the gate has to refuse.

A clip of theirs is a pair of files, one whose picture is taken and one whose sound is: nothing is written, and features
of either are computed once. So a control goes through the very code that judges the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from uniform_core.seeds import numpy_rng
from uniform_core.types import Modality, Task

PROTOTYPES: Final = 2  # clips a class that a model of two prototypes knows


@dataclass(frozen=True)
class Clip:
    """What an evaluated clip consists of: the contents (sha256) of the files whose picture and whose sound it has."""

    video: str
    audio: str

    @classmethod
    def of_file(cls, content: str) -> Clip:
        return cls(content, content)

    def of(self, modality: Modality) -> str:
        """The content that a modality is looked at in."""
        return self.video if modality is Modality.VIDEO else self.audio

    def with_made(self, task: Task, other: Clip) -> Clip:
        """This clip with what the task makes taken from another one."""
        return Clip(
            other.video if Modality.VIDEO in task.made else self.video,
            other.audio if Modality.AUDIO in task.made else self.audio,
        )


Clips = Mapping[str, Clip]  # by the clip that gave the condition
Row = Mapping[str, Any]
ItemT = TypeVar("ItemT")
# [i, j]: how like the given stream of condition i that of training clip j is
Likeness = Callable[[Modality], np.ndarray]


@dataclass(frozen=True)
class Stock:
    """What composed systems draw on: conditions and training clips (rows with their captions as `caption`), the clips
    that the model made at the task, and the one clip of each class's mean.
    """

    conditions: Sequence[Row]
    trained: Sequence[Row]
    made: Clips
    class_means: Mapping[str, Clip]
    likeness: Likeness


def can_be(name: str, task: Task) -> bool:
    """Whether a system means something at a task: without text there is nothing to be blind to."""
    return {
        "text_blind": task.given is None,
        "given_blind": task.given is not None,
        "unimodal": task.given is None,
    }.get(name, True)


def compose(name: str, task: Task, stock: Stock) -> dict[str, Clip]:
    """The clips of a composed system at a task, by condition; without those for which it has nothing to show."""
    if name in ("shuffled", "text_blind", "given_blind"):
        return _exchanged(name, task, stock)
    own = {row["clip_id"]: Clip.of_file(row["clip_sha256"]) for row in stock.conditions}
    shown = {"retrieval": _retrieved, "copier": _copied, "prototypes": _prototypes, "class_mean": _means}[name]
    found = shown(task, stock)
    return {clip_id: own[clip_id].with_made(task, clip) for clip_id, clip in found.items()}


def _exchanged(name: str, task: Task, stock: Stock) -> dict[str, Clip]:
    """The model's own clips under other conditions. `shuffled`: what was made (the sound, by text) goes to another
    clip of its class; blind: the whole answer goes to any other condition, as if the model had not looked.
    """
    ids = sorted(row["clip_id"] for row in stock.conditions if row["clip_id"] in stock.made)
    labels = {row["clip_id"]: row["label"] or "" for row in stock.conditions}
    groups = _grouped(ids, (lambda clip_id: labels[clip_id]) if name == "shuffled" else (lambda _: ""))
    moved: dict[str, str] = {}
    for label, members in groups.items():
        order = _derangement(len(members), name, str(task), label)
        moved |= {clip_id: members[place] for clip_id, place in zip(members, order, strict=True)}
    exchanged_task = Task.V2A if name == "shuffled" and task.given is None else task
    return {
        clip_id: stock.made[clip_id].with_made(exchanged_task, stock.made[other])
        for clip_id, other in moved.items()
        if clip_id != other
    }


def _retrieved(task: Task, stock: Stock) -> dict[str, Clip]:
    """The training clip that answers a condition best: whose given stream is most alike, or whose caption is the same
    (else, whose class).
    """
    if not stock.trained:
        return {}
    if task.given is not None:
        nearest = stock.likeness(task.given).argmax(axis=1)
        return {
            row["clip_id"]: _file(stock.trained[place]) for row, place in zip(stock.conditions, nearest, strict=True)
        }
    of_caption = _grouped(stock.trained, lambda row: row["caption"] or "")
    of_class = _grouped(stock.trained, _label)
    picks: dict[str, Clip] = {}
    for number, row in enumerate(stock.conditions):
        known = of_caption.get(row["caption"] or "") or of_class.get(_label(row))
        if known:
            picks[row["clip_id"]] = _file(known[number % len(known)])
    return picks


def _copied(task: Task, stock: Stock) -> dict[str, Clip]:
    """A training clip of the class, another one each time: a model that knows its training set by heart."""
    by_class = _grouped(stock.trained, _label)
    picks: dict[str, Clip] = {}
    for label, rows in _grouped(stock.conditions, _label).items():
        known = by_class.get(label, [])
        order = numpy_rng("controls", "copier", str(task), label).permutation(len(known))
        picks |= {
            row["clip_id"]: _file(known[order[place % len(known)]]) for place, row in enumerate(rows) if len(known)
        }
    return picks


def _prototypes(task: Task, stock: Stock) -> dict[str, Clip]:
    """One of two training clips of the class, in turns."""
    del task
    by_class = _grouped(stock.trained, _label)
    picks: dict[str, Clip] = {}
    for label, rows in _grouped(stock.conditions, _label).items():
        known = by_class.get(label, [])[:PROTOTYPES]
        picks |= {row["clip_id"]: _file(known[place % len(known)]) for place, row in enumerate(rows) if known}
    return picks


def _means(task: Task, stock: Stock) -> dict[str, Clip]:
    """The mean of the class's training clips."""
    del task
    return {
        row["clip_id"]: stock.class_means[_label(row)] for row in stock.conditions if _label(row) in stock.class_means
    }


def _file(row: Row) -> Clip:
    return Clip.of_file(row["clip_sha256"])


def _label(row: Row) -> str:
    return row["label"] or ""


def _grouped(items: Sequence[ItemT], key: Callable[[ItemT], str]) -> dict[str, list[ItemT]]:
    groups: defaultdict[str, list[ItemT]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(sorted(groups.items()))


def _derangement(n: int, *seed: str) -> np.ndarray:
    """A random order of n places in which none keeps its own (n of 1: it does)."""
    order = numpy_rng("controls", *seed).permutation(n)
    moved = np.empty(n, dtype=np.int64)
    moved[order] = np.roll(order, 1)  # one cycle through all places
    return moved
