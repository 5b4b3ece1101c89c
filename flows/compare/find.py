"""Which evaluation a person means by a word: an id, a preset, or a run of MLflow. Imports neither torch nor MLflow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from flows.seed import seeded
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.evaluation import evaluation_digest
from uniform_core.corpus.evaluations import (
    SHORT,
    Contender,
    Evaluation,
    evaluations,
    find_evaluation,
    split_system,
    unknown_run,
)
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.samples import current_model_id
from uniform_core.errors import ConfigError
from uniform_core.presets import PRESETS
from uniform_core.settings import Settings

MLFLOW_ID: Final = re.compile(r"[0-9a-f]{32}")
AskMlflow = Callable[[Settings, str], str | None]


def contenders(settings: Settings, catalog: Catalog, words: Sequence[str]) -> list[Contender]:
    """What is compared, in the order of the words, at least two.

    Raises ConfigError for fewer, for one that is not known or not evaluated, and for two that are the same.
    """
    if len(words) < 2:
        raise ConfigError(
            "uniform compare",
            expected="two runs or more: the first is what the others are compared with",
            found=words[0] if words else "none",
            fix="Name another one; `uniform query latest_scores` lists them. RUN/retrieval is a baseline of a run.",
        )
    known = evaluations(catalog)
    found = [_contender(settings, catalog, word, known) for word in words]
    for place, one in enumerate(found):
        for before in found[:place]:
            if (one.evaluation.evaluation, one.system) == (before.evaluation.evaluation, before.system):
                raise ConfigError(
                    "uniform compare",
                    expected="runs that differ",
                    found=f"{before.name} and {one.name}, both evaluation {one.evaluation.evaluation[:SHORT]}",
                    fix="Name another run, or one of its baselines (RUN/retrieval).",
                )
    return found


def _contender(settings: Settings, catalog: Catalog, word: str, known: Sequence[Evaluation]) -> Contender:
    run, system = split_system(word, known)
    found = _of_preset(catalog, run, known) if run.partition("@")[0] in PRESETS else find_evaluation(run, known)
    if found is None and MLFLOW_ID.fullmatch(run) and _has_mlflow(settings):
        named = _ask_mlflow(settings, run)
        found = None if named is None else find_evaluation(named, known)
    if found is None:
        raise unknown_run(word, known)
    system = system or found.main_system
    if system not in found.systems:
        raise ConfigError(
            f"run {word!r}",
            expected="one of its systems: " + ", ".join(found.systems),
            found=system,
            fix="Name it as RUN/SYSTEM.",
        )
    return Contender(word, found, system)


def _of_preset(catalog: Catalog, word: str, known: Sequence[Evaluation]) -> Evaluation:
    """The evaluation that `PRESET` or `PRESET@K=V@K=V` gives now. Raises ConfigError where it was not made."""
    preset, *overrides = word.split("@")
    config = build_run(preset, overrides=seeded(preset, overrides, None))
    clips = current_clips(catalog, config)
    model_id = current_model_id(catalog, config, clips=clips)
    wanted = evaluation_digest(catalog, config, model_id=model_id, clips=clips)
    found = next((one for one in known if one.evaluation == wanted), None)
    if found is None:
        raise ConfigError(
            f"run {word!r}",
            expected="scores of this config's model, on the clips that the catalog has now",
            found=f"no evaluation {wanted[:SHORT]} of model {model_id[:SHORT]}",
            fix="Run `uniform run` with the same preset and settings first, or name an evaluation by its id.",
        )
    return found


def _has_mlflow(settings: Settings) -> bool:
    """Whether there is an MLflow to ask: asking would make an empty one."""
    return settings.mlflow_uri is not None or (settings.home / "mlflow.db").exists()


def _ask_mlflow(settings: Settings, run_id: str) -> str | None:
    from tasks.results import evaluation_of_run  # here: seconds that an id of the catalog does not take

    return evaluation_of_run(settings, run_id)
