"""Clips of other systems beside a table: `NAME=DIR`, which folder of it has the clips of a column, what compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uniform_core.errors import ConfigError
from uniform_core.files import expanded
from uniform_core.paper_tables.comparison import Compared, Measured
from uniform_core.paper_tables.conditions import SCORED
from uniform_core.paper_tables.values import PaperTable
from uniform_core.types import Task

Column = tuple[Task, str]  # a task and a dataset of the paper


@dataclass(frozen=True)
class External:
    """A system of anybody's, and the folder of its clips."""

    name: str
    folder: Path

    @classmethod
    def of_word(cls, word: str) -> External:
        """That of `NAME=DIR`. Raises ConfigError."""
        name, _, folder = word.partition("=")
        if not name or not folder:
            fix = "Say the system's name and the folder of its clips."
            raise ConfigError("--external", expected="NAME=DIR", found=repr(word), fix=fix)
        return cls(name, expanded(folder, item=f"--external {word}"))

    def clips_of(self, column: Column, *, beside: Sequence[Column]) -> Path | str:
        """The folder that has the clips of a column of a table with these columns; or why none has.

        That is the folder below for dataset and task, for what of the two tells the columns apart; where there is one
        column alone, the folder itself, unless it has a folder of a task or dataset: its clips are theirs then.
        """
        task, dataset = column
        tasks, datasets = {task for task, _ in beside}, {dataset for _, dataset in beside}
        tried = [self.folder / dataset / task.value, self.folder / task.value / dataset]
        tried += [self.folder / dataset] if len(tasks) == 1 else []
        tried += [self.folder / task.value] if len(datasets) == 1 else []
        found = next((folder for folder in tried if folder.is_dir()), None)
        if found is not None:
            return found
        is_sorted = any((self.folder / name).is_dir() for name in (*(task.value for task in Task), *SCORED))
        if len(beside) == 1 and not is_sorted:
            return self.folder
        names = " or ".join(folder.relative_to(self.folder).as_posix() for folder in tried)
        return f"no folder {names} in {self.folder}"


@dataclass(frozen=True)
class ExternalNumber:
    """A number of an external system; `compares_sets` where it is a distance of all its clips to all real ones."""

    number: Measured
    compares_sets: bool


@dataclass(frozen=True)
class ExternalNumbers:
    """What there is of an external system in a column of a table. `real`: the real clips, as DATASET:SPLIT.

    `missing` says by the paper's metric why a number cannot be there (of every metric where that is empty); `left` is
    how many are still to be made.
    """

    name: str
    column: Column
    real: str
    numbers: tuple[ExternalNumber, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    left: int = 0
    score_keys: tuple[str, ...] = ()

    def of(self, metric: str) -> list[ExternalNumber]:
        """The numbers of one metric of the paper."""
        return [one for one in self.numbers if one.number.metric == metric]

    def why_not(self, metric: str) -> str:
        """Why there is no number of a metric."""
        found = [why for name, why in self.missing if name in (metric, "")]
        return "; ".join(dict.fromkeys(found)) or "no protocol of the column has it"


def columns_of(table: PaperTable) -> tuple[Column, ...]:
    """The columns of a table in which other systems have a place: not those of our own sampler's steps and scales."""
    values = (value for value in table.values if value.steps is None and value.guidance is None)
    return tuple(dict.fromkeys((value.task, value.dataset) for value in values))


def compared_with_ours(one: ExternalNumber, ours: Sequence[Measured], *, real: str, our_real: str) -> Compared:
    """Whether an external number compares with one of ours in its column; `real` and `our_real` are the real clips."""
    number = one.number
    if number.value is None:
        return Compared((f"no number here: {number.reason}",))
    same = next((n for n in ours if (n.name, n.protocol_hash) == (number.name, number.protocol_hash)), None)
    if same is None:
        names = ", ".join(dict.fromkeys(n.name for n in ours if n.is_chance == number.is_chance))
        return Compared((f"not with ours: other protocol, {names or 'no such number'} there",))
    reasons = []
    if one.compares_sets and real != our_real:
        reasons.append(f"not with ours: to the real clips of {real}, ours to those of {our_real}")
    if number.n_generated != same.n_generated:
        reasons.append(f"not with ours: {number.n_generated} clips, {same.n_generated} of ours")
    return Compared(tuple(reasons), same.name, "with ours, of the same protocol")
