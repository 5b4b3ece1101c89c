"""The unimodal ablation (paper §4.6.2): sound and picture by two models of one form, neither of which sees the other.

Each is trained on T2AV with `train.only`, as long as the joint model; a clip of the baseline `unimodal` has the picture
of the one and the sound of the other, made of the same caption from noise that has nothing in common.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.samples import current_model_id, is_trained
from uniform_core.errors import WorkFailedError
from uniform_core.training.config import TaskWeights
from uniform_core.types import Modality, Task

_T2AV_ALONE = TaskWeights(t2av=1.0, a2v=0.0, v2a=0.0)


def unimodal_config(config: RunConfig, modality: Modality) -> RunConfig:
    """The run that trains and samples the model of one modality; all else is as in the joint model's run."""
    train = config.train.model_copy(update={"only": modality, "task_weights": _T2AV_ALONE})
    evaluate = config.evaluate.model_copy(update={"tasks": (Task.T2AV,), "baselines": (), "controls": ()})
    return config.model_copy(update={"train": train, "evaluate": evaluate})


def unimodal_words(modality: Modality) -> tuple[str, ...]:
    """The same as words after `--set`."""
    values: dict[str, Any] = {
        "train.only": modality.value,
        "train.task_weights": _T2AV_ALONE.model_dump(mode="json"),
        "evaluate.tasks": [Task.T2AV.value],
        "evaluate.baselines": [],
        "evaluate.controls": [],
    }
    return tuple(f"{name}={json.dumps(value)}" for name, value in values.items())


def require_unimodal(catalog: Catalog, config: RunConfig, clips: pa.Table) -> None:
    """Raises WorkFailedError where a run scores the unimodal baseline, and one of its models has not been trained."""
    if "unimodal" not in config.evaluate.baselines:
        return
    ids = {m: current_model_id(catalog, unimodal_config(config, m), clips=clips) for m in Modality}
    if missing := [str(m) for m, model_id in ids.items() if not is_trained(catalog, model_id)]:
        raise WorkFailedError(
            "evaluate.baselines, unimodal",
            expected="a model of video alone and one of audio alone, of this config and these clips",
            found="none of " + " and none of ".join(missing),
            fix="`uniform table 6` trains and samples both.",
        )


def made_apart(modality: Modality) -> str:
    """The name under which a line-up has the clips that the model of one modality made."""
    return f"unimodal_{modality}"
