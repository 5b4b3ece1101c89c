"""Clips of other systems beside a table: which of its columns they are for, and their scores under its protocols."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from flows.tables.state import RunState, TableState
from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.asked import needs_reference
from uniform_core.corpus.anybody.call import Call, Words, call_of
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.protocols import PROTOCOLS
from uniform_core.paper_tables import Condition, External, ExternalNumber, ExternalNumbers, Measured, columns_of
from uniform_core.paper_tables.conditions import CHANCE, metric_of
from uniform_core.paper_tables.external import Column
from uniform_core.settings import Settings

if TYPE_CHECKING:
    from tasks.context import Session

OURS: Final = "uniform"  # the protocol of a column whose printed values name none


@dataclass(frozen=True)
class ExternalWords:
    """What a call says of other systems: `NAME=DIR` each, and weights of nets as `uniform evaluate` takes them."""

    systems: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    allow_code: bool = False


class ExternalTables:
    """Scores other systems for tables. Files are read once for their contents, whatever tables they stand in."""

    def __init__(self, settings: Settings, catalog: Catalog, words: ExternalWords) -> None:
        self._settings, self._catalog, self._words = settings, catalog, words
        self._systems = [External.of_word(word) for word in words.systems]
        self._calls: dict[Words, Call] = {}

    def beside(self, state: TableState) -> TableState:
        """The table with what is there of other systems.

        Raises ConfigError for clips that cannot be scored: no media, names of no real clip, rates that differ.
        """
        found = [self._numbers(system, state, column) for system in self._systems for column in columns_of(state.table)]
        return replace(state, externals=tuple(found))

    def make(self, session: Session, state: TableState) -> None:
        """Score what a table lacks of other systems, and tell MLflow. Raises StageFailedError, ServiceError."""
        from tasks.anybody import score_clips  # here: looking needs no torch
        from tasks.anybody_tracking import log_scored

        for words, call in self._calls_of(state):
            if any(row is None for _, row in self._kept(call)):
                said = {"external": str(words.generated), "reference": words.reference, "table": state.table.number}
                log_scored(session, call, score_clips(session, call), words=said)

    def _calls_of(self, state: TableState) -> Iterator[tuple[Words, Call]]:
        for system in self._systems:
            for column in columns_of(state.table):
                words = self._words_of(system, state, column)
                if not isinstance(words, str):
                    yield words, self._call(words)

    def _numbers(self, system: External, state: TableState, column: Column) -> ExternalNumbers:
        words = self._words_of(system, state, column)
        if isinstance(words, str):
            return ExternalNumbers(system.name, column, "", missing=(("", words),))
        call, real = self._call(words), str(words.reference)
        kept = self._kept(call)
        task, dataset = column
        condition = Condition(task, dataset, with_text=False)
        names = {metric.name: metric for protocol in PROTOCOLS.values() for metric in protocol.metrics}
        return ExternalNumbers(
            system.name,
            column,
            real,
            numbers=tuple(
                ExternalNumber(
                    Measured.of_row(
                        row,
                        condition=condition,
                        metric=metric_of(metric) or "",
                        is_chance=metric.metric == CHANCE,
                    ),
                    compares_sets=needs_reference(metric) and not metric.paired,
                )
                for metric, row in kept
                if row is not None
            ),
            missing=tuple(
                (metric_of(names[gap.what]) or "", f"{gap.what}: {gap.reason}") for gap in call.asked.not_made
            ),
            left=sum(row is None for _, row in kept),
            score_keys=tuple(row["work_key"] for _, row in kept if row is not None),
        )

    def _kept(self, call: Call) -> list[tuple[MetricConfig, dict[str, Any] | None]]:
        from tasks.anybody_kept import kept_rows

        return kept_rows(self._catalog, call)

    def _call(self, words: Words) -> Call:
        if words not in self._calls:
            self._calls[words] = call_of(words, settings=self._settings, catalog=self._catalog)
        return self._calls[words]

    def _words_of(self, system: External, state: TableState, column: Column) -> Words | str:
        """What is scored for a column; or why nothing can be."""
        task, dataset = column
        run = _run_of(state, column)
        if run is None:
            found = (one.reason for one in state.unavailable if any(_serves(c, column) for c in one.conditions))
            return next(found, "no run of ours has this column")
        every = columns_of(state.table)
        # On other data than the paper's, its datasets are one: only tasks tell columns apart.
        beside = every if run.run.place.is_paper_data else tuple((one, dataset) for one in {t: 0 for t, _ in every})
        folder, real = system.clips_of(column, beside=beside), _real(run)
        if isinstance(folder, str):
            return folder
        if real is None:
            return f"the run's data are several sets, and {run.run.place.split} names none of them"
        protocols = _protocols(state, run)
        return Words(
            task=task,
            protocols=protocols,
            generated=folder,
            reference=real,
            system=system.name,
            weights=self._words.weights,
            allow_code=self._words.allow_code,
            only=frozenset(_names(state, protocols)),
            without_missing=True,
            flag=f"--external {system.name}",
        )


def _run_of(state: TableState, column: Column) -> RunState | None:
    return next((run for run in state.runs if any(_serves(c, column) for c in run.run.conditions)), None)


def _serves(condition: Condition, column: Column) -> bool:
    return (condition.task, condition.dataset) == column


def _real(run: RunState) -> str | None:
    """The real clips of a run, as DATASET:SPLIT; None where its split is of several datasets."""
    split, parts = run.run.place.split, run.config.data.parts
    if ":" in split:
        return split
    return f"{parts[0].name}:{split}" if len(parts) == 1 else None


def _protocols(state: TableState, run: RunState) -> tuple[str, ...]:
    """The protocols that a table's printed values probably have, and those of the run's own numbers; or ours."""
    printed = (value.protocol.rpartition(".")[2] for value in state.table.values if value.protocol is not None)
    own = (metric.protocol.name for metric in run.config.evaluate.metrics)
    named = dict.fromkeys(name for name in (*printed, *own) if name in PROTOCOLS)
    return tuple(named) or (OURS,)


def _names(state: TableState, protocols: Sequence[str]) -> Iterator[str]:
    """The metrics of these protocols that a table has a column of."""
    asked = {value.metric for value in state.table.values}
    metrics = (metric for name in protocols for metric in PROTOCOLS[name].metrics)
    return (metric.name for metric in metrics if metric_of(metric) in asked)
