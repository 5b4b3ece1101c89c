"""The evaluations that the catalog has, and which of them a person means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from uniform_core.catalog import Catalog
from uniform_core.errors import ConfigError, nearest

SHORT: Final = 12  # digits of an id that people are shown
LEAST: Final = 4  # characters of an id that name it
MODEL: Final = "uniform"  # the system that a model makes clips as
# As MLflow names its runs: PRESET-DATA-MODEL and PRESET-DATA-MODEL-evaluation-EVALUATION.
_RUN_NAME: Final = re.compile(r".+-(?P<model>[0-9a-f]{8})(-evaluation-(?P<evaluation>[0-9a-f]{8}))?")
_EVALUATIONS: Final = """
SELECT stage_fp AS evaluation, max(model_id) FILTER (WHERE system = 'uniform') AS model_id,
    list(DISTINCT run_id) AS run_ids, list(DISTINCT system) AS systems, max(clips_digest) AS clips_digest,
    max(created_at) AS created_at
FROM scores GROUP BY stage_fp ORDER BY created_at DESC, evaluation
"""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the table `scores`: its id (`stage_fp`), its model, the runs that wrote it, its systems.

    `clips_digest` is that of the real clips that it stands on; None where an older program scored.
    """

    evaluation: str
    model_id: str | None
    run_ids: tuple[str, ...]
    systems: tuple[str, ...]
    clips_digest: str | None
    created_at: datetime

    @property
    def main_system(self) -> str:
        """The system that an evaluation is of: the only one, as of anybody's clips, or the model's own."""
        return self.systems[0] if len(self.systems) == 1 else MODEL


@dataclass(frozen=True)
class Contender:
    """One system of one evaluation, by the name that it was asked for."""

    name: str
    evaluation: Evaluation
    system: str


def evaluations(catalog: Catalog) -> tuple[Evaluation, ...]:
    """Every evaluation, the newest first."""
    return tuple(
        Evaluation(
            row["evaluation"],
            row["model_id"],
            tuple(sorted(row["run_ids"])),
            tuple(sorted(row["systems"])),
            row["clips_digest"],
            row["created_at"],
        )
        for row in catalog.rows(_EVALUATIONS)
    )


def split_system(word: str, known: Iterable[Evaluation]) -> tuple[str, str | None]:
    """A run and one of its systems, of `RUN/SYSTEM`; None where none that is known is named."""
    run, slash, system = word.rpartition("/")
    systems = {name for one in known for name in one.systems}
    return (run, system) if slash and system in systems else (word, None)


def find_evaluation(word: str, known: Sequence[Evaluation]) -> Evaluation | None:
    """The evaluation that a word names; None where none of them is meant. `known` are the newest first.

    The id of an evaluation, of a model (its newest evaluation) or of a run, or the beginning of one; or the name of a
    run in MLflow. Raises ConfigError where several are meant.
    """
    if named := _RUN_NAME.fullmatch(word):
        word = named["evaluation"] or named["model"]
    if len(word) < LEAST:
        return None
    if by_id := [one for one in known if one.evaluation.startswith(word)]:
        return _only(word, by_id)
    if by_model := [one for one in known if (one.model_id or "").startswith(word)]:
        newest_of = {one.model_id: one for one in reversed(by_model)}
        return _only(word, list(newest_of.values()))
    by_run = [one for one in known if any(run_id.startswith(word) for run_id in one.run_ids)]
    return _only(word, by_run) if by_run else None


def unknown_run(word: str, known: Sequence[Evaluation]) -> ConfigError:
    """The error for a word that names no evaluation: it says which are near, or which are newest."""
    near = nearest(word, [name for one in known for name in _names(one)])
    newest = ", ".join(f"{one.evaluation[:SHORT]} (of model {(one.model_id or 'none')[:SHORT]})" for one in known[:5])
    return ConfigError(
        f"run {word!r}",
        expected="an evaluation, a model, a run or a preset that has scores, or the beginning of its id",
        found=f"none of that name; the newest evaluations are {newest}" if known else "no evaluation at all",
        fix=near if known and near.startswith("Did") else "`uniform query latest_scores` lists them.",
    )


def _names(one: Evaluation) -> list[str]:
    whole = [one.evaluation, one.model_id or "", *one.run_ids]
    return [name for part in whole for name in (part, part[:SHORT], part[:8]) if name]


def _only(word: str, found: Sequence[Evaluation]) -> Evaluation:
    if len(found) == 1:
        return found[0]
    listed = ", ".join(one.evaluation[:SHORT] for one in found[:5]) + (", …" if found[5:] else "")
    raise ConfigError(
        f"run {word!r}", expected="one evaluation", found=f"{len(found)}: {listed}", fix="Give more of its id."
    )
