"""What each table needs: under which conditions the paper made its clips, and which words make a run of ours do so.

The conditions are read off the rows of UniForm themselves, so that a table and what is made for it cannot drift apart.
One model serves all of them: no word here changes how it was trained.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from uniform_core.config import RunConfig
from uniform_core.datasets.listed_splits import lists_split
from uniform_core.metrics.base import MetricConfig
from uniform_core.paper_tables.values import METRICS, TABLES, UNIMODAL, PaperValue
from uniform_core.types import Task

# The paper's dataset columns: our name of the dataset, and the split that others score on.
SCORED: Final[Mapping[str, tuple[str, str]]] = {
    "vggsound": ("vggsound", "test"),
    "landscape": ("landscape", "test"),
    "aist++": ("aistpp", "test"),
    "audioset": ("audioset", "eval"),
}
REFERENCE: Final = "train"


@dataclass(frozen=True)
class Condition:
    """How the clips behind a row were made. `steps` and `guidance` None: as the model is sampled otherwise."""

    task: Task
    dataset: str
    with_text: bool
    steps: int | None = None
    guidance: float | None = None
    is_joint: bool = True


@dataclass(frozen=True)
class Place:
    """Where conditions are tried: a split as `evaluate.split` names it, and whether it is the paper's own data."""

    split: str
    reference: str
    is_paper_data: bool


@dataclass(frozen=True)
class TableRun:
    """One evaluation of the model that serves some conditions of a table, and the words after `--set` that make it."""

    conditions: tuple[Condition, ...]
    place: Place
    words: tuple[str, ...]

    @property
    def needs_unimodal(self) -> bool:
        """Whether models of one modality have to be trained and sampled first."""
        return any(not condition.is_joint for condition in self.conditions)


@dataclass(frozen=True)
class Unavailable:
    """Conditions that this run's data cannot give, and why."""

    conditions: tuple[Condition, ...]
    reason: str


def condition_of(value: PaperValue) -> Condition:
    """The condition of a row of UniForm's; of another method's, that of ours which stands beside it."""
    return Condition(
        task=value.task,
        dataset=value.dataset,
        with_text=value.text is not False,
        steps=value.steps,
        guidance=value.guidance,
        is_joint=value.method != UNIMODAL,
    )


def conditions_of(number: str) -> tuple[Condition, ...]:
    """The conditions of a table, in the order of its rows."""
    return tuple(dict.fromkeys(condition_of(value) for value in TABLES[number].values if value.is_of_uniform))


def runs_of(number: str, config: RunConfig) -> tuple[tuple[TableRun, ...], tuple[Unavailable, ...]]:
    """The runs that a table needs, each once, and the conditions for which there is no data.

    On data that are none of the paper's, all dataset columns are one: it is run once.
    """
    groups: defaultdict[tuple[Place, int | None, float | None, bool], list[Condition]] = defaultdict(list)
    missing: defaultdict[str, list[Condition]] = defaultdict(list)
    for condition in conditions_of(number):
        place = place_of(config, condition.dataset)
        if isinstance(place, str):
            missing[place].append(condition)
        else:
            groups[place, condition.steps, condition.guidance, condition.with_text].append(condition)
    runs = [TableRun(tuple(some), key[0], _words(number, config, some, key[0])) for key, some in groups.items()]
    return tuple(runs), tuple(Unavailable(tuple(some), reason) for reason, some in missing.items())


def place_of(config: RunConfig, dataset: str) -> Place | str:
    """Where a dataset column of the paper is tried by this run; or why it cannot be."""
    parts = {part.name: part for part in config.data.parts}
    evaluate = config.evaluate
    if not parts.keys() & {name for name, _ in SCORED.values()}:
        return Place(evaluate.split, evaluate.reference_split, is_paper_data=False)
    name, split = SCORED[dataset]
    if name not in parts:
        return f"the run's data ({config.data.name}) have no {name}"
    if not lists_split(parts[name], split):
        return f"the run's data list no {name}:{split}: give that part of them every split"
    reference = f"{name}:{REFERENCE}" if lists_split(parts[name], REFERENCE) else evaluate.reference_split
    return Place(f"{name}:{split}", reference, is_paper_data=True)


def metric_of(metric: MetricConfig) -> str | None:
    """The paper's column that a metric of ours belongs to; None where the paper has none.

    AV-align with the sounds of other clips is what chance gives of the same column.
    """
    word = "av_align" if metric.metric == CHANCE else metric.metric
    for name, column in METRICS.items():
        if column.word == word and (column.judges is None or column.judges is metric.protocol.judges):
            return name
    return None


CHANCE: Final = "av_align_chance"


def _words(number: str, config: RunConfig, conditions: Sequence[Condition], place: Place) -> tuple[str, ...]:
    """The words of the run of conditions that differ in task and dataset alone."""
    first = conditions[0]
    tasks = [task.value for task in Task if any(condition.task is task for condition in conditions)]
    values: dict[str, object] = {
        "evaluate.tasks": tasks,
        "evaluate.text_for": tasks if first.with_text else [],
        "evaluate.baselines": [] if all(condition.is_joint for condition in conditions) else ["unimodal"],
        "evaluate.controls": [],
        "evaluate.memory_clips": 1,  # copies of training clips are no column of the paper
        "evaluate.metrics": [metric.model_dump(mode="json") for metric in _metrics(number, config, first)],
    }
    if place.is_paper_data:
        values |= {"evaluate.split": place.split, "evaluate.reference_split": place.reference}
    if first.steps is not None:
        samplers = ("sampler",) if config.sample.sampler_given is None else ("sampler", "sampler_given")
        values |= {f"sample.{name}.steps": first.steps for name in samplers}
    if first.guidance is not None:
        values["sample.guidance.text_scale"] = first.guidance
    return tuple(f"{name}={json.dumps(value)}" for name, value in values.items())


def _metrics(number: str, config: RunConfig, condition: Condition) -> list[MetricConfig]:
    """The run's metrics that the paper has; in a sweep those of its table alone, since its runs serve no other."""
    is_sweep = condition.steps is not None or condition.guidance is not None
    asked = {value.metric for value in TABLES[number].values} if is_sweep else set(METRICS)
    return [metric for metric in config.evaluate.metrics if metric_of(metric) in asked]
