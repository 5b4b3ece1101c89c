"""How far each run of a table is, by the catalog alone. Imports neither prefect, ray nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from flows.seed import seeded
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.caption_pointer import pinned
from uniform_core.corpus.evaluation import generation_candidates, kept_scores, wanted_scores
from uniform_core.corpus.inputs import ListedItem, current_clips, list_items
from uniform_core.corpus.roles import clips_in
from uniform_core.corpus.samples import current_model_id, is_trained
from uniform_core.corpus.unimodal import unimodal_config
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import MetricConfig
from uniform_core.paper_tables import (
    TABLES,
    Condition,
    ExternalNumbers,
    Measured,
    PaperTable,
    Setting,
    TableRun,
    Unavailable,
    runs_of,
)
from uniform_core.paper_tables.conditions import CHANCE, Place, metric_of
from uniform_core.types import Modality

Words = tuple[str, list[str], str | None]  # preset, what is after --set, data


@dataclass(frozen=True)
class RunState:
    """One run of a table as the catalog has it: `clips_left` and `scores_left` are still to be made.

    `models_left` are the unimodal models that have to be trained for it first. `score_keys` are those of its scores.
    """

    run: TableRun
    config: RunConfig
    setting: Setting
    numbers: tuple[Measured, ...]
    clips_left: int
    scores_left: int
    models_left: tuple[Modality, ...]
    score_keys: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        return not self.scores_left


@dataclass(frozen=True)
class TableState:
    """A table with its runs, and what this run's data cannot give."""

    table: PaperTable
    model_id: str
    runs: tuple[RunState, ...]
    unavailable: tuple[Unavailable, ...]
    externals: tuple[ExternalNumbers, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether every number that can be made is there."""
        return all(run.is_done for run in self.runs) and not any(one.left for one in self.externals)

    @property
    def stands_on(self) -> str:
        """The identity of the table: of which scores its numbers are."""
        own = ["table", self.table.number, self.model_id, [run.score_keys for run in self.runs]]
        others = [[one.name, one.column, one.score_keys] for one in self.externals]
        return digest([*own, others] if others else own)

    def of(self, condition: Condition) -> RunState | None:
        """The run that serves a condition."""
        return next((state for state in self.runs if condition in state.run.conditions), None)


class TableReader:
    """Reads tables of the runs that the words of a call give; what its items are is listed once."""

    def __init__(self, catalog: Catalog, words: Words) -> None:
        self._clips: dict[Place, pa.Table] = {}
        preset, given, data = words
        overrides = seeded(preset, given, data)
        self._catalog, self._words = catalog, (preset, overrides, data)
        self.config = pinned(catalog, build_run(preset, overrides=overrides, data=data))

    @cached_property
    def _listed(self) -> Sequence[ListedItem]:
        return tuple(list_items(self.config))

    @cached_property
    def model_id(self) -> str:
        """The model that all tables are of."""
        clips = current_clips(self._catalog, self.config, listed=self._listed)
        return current_model_id(self._catalog, self.config, clips=clips)

    def table(self, number: str) -> TableState:
        """A table as it is now."""
        runs, unavailable = runs_of(number, self.config)
        return TableState(TABLES[number], self.model_id, tuple(map(self._run, runs)), unavailable)

    def _clips_at(self, place: Place, config: RunConfig) -> pa.Table:
        """The clips of the runs of a place, looked up once: nothing else of them tells which clips there are."""
        if place not in self._clips:
            self._clips[place] = current_clips(self._catalog, config, listed=self._listed)
        return self._clips[place]

    def _run(self, run: TableRun) -> RunState:
        preset, overrides, data = self._words
        config = pinned(self._catalog, build_run(preset, overrides=[*overrides, *run.words], data=data))
        clips = self._clips_at(run.place, config)
        wanted = wanted_scores(self._catalog, config, model_id=self.model_id, clips=clips)
        kept = kept_scores(self._catalog, wanted)
        makers = generation_candidates(self._catalog, config, clips, model_id=self.model_id)
        apart = {m: unimodal_config(config, m) for m in Modality} if run.needs_unimodal else {}
        split_clips = clips_in(clips, run.place.split).num_rows
        return RunState(
            run=run,
            config=config,
            setting=Setting(
                data=config.data.name,
                is_paper_data=run.place.is_paper_data,
                clip_s=config.spec.duration_s,
                clips=min(config.evaluate.clips_per_task, split_clips),
                split_clips=split_clips,
            ),
            numbers=tuple(
                number
                for score in wanted
                if score.work_key in kept
                for number in _measured(run, score.metric, kept[score.work_key])
            ),
            clips_left=self._catalog.outstanding("generations", makers, stage="sample").num_rows,
            scores_left=len(wanted) - len(kept),
            models_left=tuple(
                m
                for m, own in apart.items()
                if not is_trained(self._catalog, current_model_id(self._catalog, own, clips=clips))
            ),
            score_keys=tuple(score.work_key for score in wanted),
        )


def _measured(run: TableRun, metric: MetricConfig, row: dict[str, Any]) -> list[Measured]:
    """A row of `scores` as the number of each condition that it speaks of; of none where it is a baseline's."""
    column = metric_of(metric)
    if column is None or row["system"] not in SYSTEMS.values():
        return []
    return [
        Measured.of_row(row, condition=condition, metric=column, is_chance=metric.metric == CHANCE)
        for condition in run.conditions
        if (row["task"], row["system"]) == (condition.task.value, SYSTEMS[condition.is_joint])
    ]


SYSTEMS = {True: "uniform", False: "unimodal"}  # by whether a condition is joint
