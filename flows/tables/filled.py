"""A table as rows: the paper's beside ours, column by column, each with what it stands on and what it compares with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flows.report.sampling import sampling_facts
from flows.tables.state import TableState
from uniform_core.paper_tables import (
    METRICS,
    Compared,
    Condition,
    ExternalNumbers,
    Measured,
    PaperValue,
    Setting,
    compared,
    compared_with_ours,
    condition_of,
)
from uniform_core.paper_tables.values import UNIFORM, UNIMODAL

NO_NUMBER = dict.fromkeys(("number", "low", "high", "n_generated", "n_reference", "protocol_hash"))
OWN = {True: UNIFORM, False: UNIMODAL.lower()}  # by whether a condition is joint


@dataclass(frozen=True)
class Row:
    """One line of a table: a printed number, or beside it one of ours, or of an external system.

    `value` is what may be shown, with its mark or as a dash. `measured_as` is the whole name of a score that was made
    here, or the paper's probable one with how sure that is. `compared` says of a printed and of an external number
    whether it compares with ours, and is None for ours.
    """

    task: str
    dataset: str
    column: str
    method: str
    is_ours: bool
    text: bool | None
    steps: int | None
    guidance: float | None
    value: str
    number: float | None
    low: float | None
    high: float | None
    n_generated: int | None
    n_reference: int | None
    measured_as: str
    protocol_hash: str | None
    mark: str | None
    note: str
    compared: Compared | None
    is_external: bool = False

    @property
    def is_printed(self) -> bool:
        """Whether the paper has this number."""
        return not (self.is_ours or self.is_external)

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        own = {name: value for name, value in vars(self).items() if name != "compared"}
        if self.compared is None:
            return own
        said = {"is": self.compared.is_comparable, "reasons": list(self.compared.reasons)}
        return own | {"comparable": said | {"beside": self.compared.beside, "doubt": self.compared.doubt}}


def rows_of(state: TableState) -> tuple[Row, ...]:
    """The rows of a table, column by column: in each the printed ones first, in their order, then ours."""
    by_column: dict[tuple[Any, ...], list[PaperValue]] = {}
    for value in state.table.values:
        key = (value.task, value.dataset, value.steps, value.guidance, value.metric)
        by_column.setdefault(key, []).append(value)
    return tuple(row for values in by_column.values() for row in _column(state, values))


def _column(state: TableState, values: list[PaperValue]) -> Iterator[Row]:
    yield from (_printed(state, value) for value in values)
    own = dict.fromkeys(condition_of(value) for value in values if value.is_of_uniform)
    for condition in own or dict.fromkeys(map(condition_of, values)):
        numbers = _numbers(state, condition, values[0].metric)
        yield from (_measured(condition, number) for number in numbers)
        if not numbers:
            yield _nothing(state, condition, values[0].metric)
    if values[0].steps is None and values[0].guidance is None:
        yield from _externals(state, values[0])


def _externals(state: TableState, value: PaperValue) -> Iterator[Row]:
    """What other systems have in the column of a printed value."""
    for system in state.externals:
        if system.column != (value.task, value.dataset):
            continue
        run = next((r for r in state.runs if any(_is_in(c, system) for c in r.run.conditions)), None)
        ours = [n for n in run.numbers if _is_in(n.condition, system) and n.metric == value.metric] if run else []
        for one in system.of(value.metric):
            said = compared_with_ours(one, ours, real=system.real, our_real=run.run.place.reference if run else "")
            yield _external(system, value.metric, one.number, said)
        if not system.of(value.metric):
            why = "it has not been made yet" if system.left else system.why_not(value.metric)
            yield _external(system, value.metric, None, Compared((f"no number here: {why}",)))


def _is_in(condition: Condition, system: ExternalNumbers) -> bool:
    return (condition.task, condition.dataset) == system.column


def _external(system: ExternalNumbers, metric: str, number: Measured | None, said: Compared) -> Row:
    task, dataset = system.column
    known = _number_words(number) if number is not None else {**NO_NUMBER, "value": "–", "measured_as": "–"}
    return Row(
        task=task.value,
        dataset=dataset,
        column=METRICS[metric].heading,
        method=f"{system.name}, other sounds" if number is not None and number.is_chance else system.name,
        is_ours=False,
        text=None,
        steps=None,
        guidance=None,
        mark=None,
        note="",
        compared=said,
        is_external=True,
        **known,
    )


def _number_words(number: Measured) -> dict[str, Any]:
    """What a row says of a number that was made here."""
    return {
        "value": "–" if number.value is None else f"{number.value:.4g}",
        "number": number.value,
        "low": number.low,
        "high": number.high,
        "n_generated": number.n_generated,
        "n_reference": number.n_reference,
        "measured_as": number.name,
        "protocol_hash": number.protocol_hash,
    }


def _numbers(state: TableState, condition: Condition, metric: str) -> list[Measured]:
    run = state.of(condition)
    return [] if run is None else [n for n in run.numbers if (n.condition, n.metric) == (condition, metric)]


def _printed(state: TableState, value: PaperValue) -> Row:
    condition = condition_of(value)
    sure = "protocol unknown" if value.protocol is None else f"{value.protocol}? ({value.strength})"
    return Row(
        task=value.task.value,
        dataset=value.dataset,
        column=METRICS[value.metric].heading,
        method=value.method,
        is_ours=False,
        text=value.text,
        steps=value.steps,
        guidance=value.guidance,
        value=value.printed,
        number=value.value,
        low=None,
        high=None,
        n_generated=value.clips,
        n_reference=None,
        measured_as=sure,
        protocol_hash=None,
        mark=value.mark,
        note=value.note,
        compared=compared(value, _numbers(state, condition, value.metric), _setting(state, condition)),
    )


def _setting(state: TableState, condition: Condition) -> Setting | str:
    run = state.of(condition)
    if run is None:
        found = (one.reason for one in state.unavailable if condition in one.conditions)
        return next(found, "the paper has no row of its own under this condition")
    return run.setting if run.is_done else "it has not been made yet"


def _measured(condition: Condition, number: Measured) -> Row:
    own = OWN[condition.is_joint]
    return _own(
        condition,
        metric=number.metric,
        method=f"{own} here, other sounds" if number.is_chance else f"{own} here",
        **_number_words(number),
        note=number.reason or ("by chance: each picture with sounds of other clips" if number.is_chance else ""),
    )


def _nothing(state: TableState, condition: Condition, metric: str) -> Row:
    """The row that says why there is no number of ours."""
    setting = _setting(state, condition)
    note = setting if isinstance(setting, str) else f"no metric of the kind {METRICS[metric].word} in this run"
    method = f"{OWN[condition.is_joint]} here"
    return _own(condition, metric=metric, method=method, value="–", measured_as="–", note=note, **NO_NUMBER)


def _own(condition: Condition, *, metric: str, **more: Any) -> Row:
    return Row(
        task=condition.task.value,
        dataset=condition.dataset,
        column=METRICS[metric].heading,
        is_ours=True,
        text=condition.with_text,
        steps=condition.steps,
        guidance=condition.guidance,
        mark=None,
        compared=None,
        **more,
    )


def remarks_of(state: TableState, preset: str) -> list[str]:
    """What a reader has to know before the numbers: whose data, which model, how sampled, what was varied."""
    settings = [run.setting for run in state.runs]
    lines = []
    if settings and not settings[0].is_paper_data:
        first = settings[0]
        lines += [
            f"{preset}: not the paper's data",
            f"Every dataset column stands on the same clips of {first.data} (split {state.runs[0].run.place.split}), "
            f"made and scored once: {first.clips} clips a task, of {first.clip_s:g} s.",
        ]
    lines += [state.table.remark] if state.table.remark else []
    lines += [f"model {state.model_id[:12]}, the same under every condition"]
    swept = [run.run for run in state.runs if {c.steps for c in run.run.conditions} != {None}]
    if swept:
        lines.append(
            "Varied: the steps of every task (sample.sampler.steps, sample.sampler_given.steps), then the guidance of "
            "text (sample.guidance.text_scale); all else as the preset samples."
        )
    lines += [
        f"Not made: {', '.join(dict.fromkeys(c.dataset for c in one.conditions))}: {one.reason}."
        for one in state.unavailable
    ]
    return lines + [f"{fact.name}: {fact.value}, {fact.remark}" for fact in _sampling(state)]


def _sampling(state: TableState) -> Iterator[Any]:
    """How clips were sampled, for each run that no sweep changes."""
    for run in state.runs:
        if all(c.steps is None and c.guidance is None for c in run.run.conditions):
            yield from sampling_facts(run.config)
