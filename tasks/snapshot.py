"""A model out of the middle of its training: the newest checkpoint, exported so that it can be sampled and scored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tasks.context import RunContext
from tasks.train import READ, TrainedModel, count_parameters, last_validation, training_index
from tasks.train_worker import HISTORY, init_account, model_card
from uniform_core.corpus.captions import caption_versions
from uniform_core.corpus.fingerprints import train_fingerprint
from uniform_core.corpus.parts import weight_facts
from uniform_core.corpus.samples import is_trained, samples_digest
from uniform_core.errors import IntegrityError
from uniform_core.files import find_damage
from uniform_core.fingerprint import digest, file_sha256
from uniform_core.training.checkpoint import Checkpoint, CheckpointStore
from uniform_core.training.export import WEIGHTS, export_model
from uniform_core.training.scaling import LatentScale

KIND: Final = "checkpoint"  # of the row in `models`: nothing takes it for a finished model
TRIES: Final = 3  # a training that goes on may take a checkpoint away while it is read


@dataclass(frozen=True)
class Snapshot(TrainedModel):
    """A checkpoint as a model; `notes` say which newer ones are damaged, and how."""

    step: int
    notes: tuple[str, ...]


def newest_snapshot(context: RunContext) -> Snapshot | None:
    """The newest whole checkpoint of the training of this config, as a model with an id of its own; None before there
    is any.

    It is exported once, its row written last: a kill repeats it, and an export that was damaged is made again. The
    training may go on meanwhile. Raises ConfigError for checkpoints of another training, IntegrityError where every
    one is damaged.
    """
    index, key = training_index(context)
    steps = context.settings.checkpoints_dir / key / "steps"
    checkpoint, notes = _newest(steps, key)
    if checkpoint is None:
        if notes:
            raise _none_whole(steps, notes)
        return None
    model_id = digest([KIND, key, checkpoint.step])
    folder = context.settings.checkpoints_dir / model_id / "model"
    is_known = is_trained(context.catalog, model_id)
    if not is_known or find_damage(folder) is not None:
        _export(context, checkpoint, folder, model_id=model_id)
    if not is_known:
        row = _row(context, index, folder, model_id=model_id, training=key, step=checkpoint.step)
        context.catalog.insert("models", [row])
    return Snapshot(model_id, folder, checkpoint.step, notes)


def _newest(steps: Path, key: str) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """The newest whole checkpoint, and what is wrong with newer ones.

    One that is taken away while it is read vanishes, or looks damaged: then the folder is read again.
    """
    for _ in range(TRIES - 1):
        with suppress(FileNotFoundError):
            found, notes = CheckpointStore(steps, keep=1).latest(fingerprint=key)
            if found is not None or not notes:
                return found, notes
    return CheckpointStore(steps, keep=1).latest(fingerprint=key)


def _none_whole(steps: Path, notes: Sequence[str]) -> IntegrityError:
    return IntegrityError(
        f"checkpoints {steps}",
        expected="at least one that is as it was written",
        found="; ".join(notes),
        fix="Run `uniform train` with the same preset, data and settings: it begins anew where none is whole.",
    )


def _export(context: RunContext, checkpoint: Checkpoint, folder: Path, *, model_id: str) -> None:
    config, init = context.config, init_account(context.config)
    card = model_card(
        config,
        scale=LatentScale.from_json(checkpoint.extra["scale"]),
        fingerprint=model_id,
        steps=checkpoint.step,
        init=None if init is None else init.as_json(),
        facts=weight_facts(config, ["encode"]),
    )
    averages = {name: checkpoint.ema.get(name, value) for name, value in checkpoint.model.items()}
    export_model(folder, averages, card=card, guide=checkpoint.guide)


def _row(
    context: RunContext, index: pa.Table, folder: Path, *, model_id: str, training: str, step: int
) -> dict[str, Any]:
    """The row of `models`; its `metrics` say which training it is of, and the losses of until then."""
    config, catalog = context.config, context.catalog
    losses = last_validation(context.settings.checkpoints_dir / training / HISTORY, until=step)
    return {
        "work_key": model_id,
        "model_id": model_id,
        "kind": KIND,
        "path": f"{model_id}/model",
        "weights_sha256": file_sha256(folder / WEIGHTS),
        "parameters": count_parameters(folder / WEIGHTS),
        "steps": step,
        "data_digest": samples_digest(index),
        "versions": json.dumps(caption_versions(catalog, config, catalog.versions(READ))),
        "corpus": config.corpus,
        "metrics": json.dumps({"training": training, "validation": losses}),
        "stage_fp": train_fingerprint(config),
        "run_id": context.run_id,
        "created_at": datetime.now(UTC),
    }
