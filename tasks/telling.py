"""What a run in MLflow is searched by: tags of what was trained or scored, and the data that it stands on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.context import RunContext
from tasks.tracking import DataVersion
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import evaluation_clips, known_digest, reference_clips
from uniform_core.corpus.sampling import sampling_ways

CHECKPOINT_TAG = "uniform.checkpoint"
Rows = Sequence[Mapping[str, Any]]


def config_tags(config: RunConfig) -> dict[str, str]:
    """What a run is of, whatever it does: the preset, the dataset, the captions, the codecs."""
    corpus = {} if config.corpus is None else {"uniform.corpus": config.corpus}
    return {
        "uniform.preset": config.preset,
        "uniform.data": config.data.name,
        "uniform.captioners": ", ".join(captioner.kind for captioner in config.captioners),
        "uniform.codec.video": config.video_codec.kind,
        "uniform.codec.audio": config.audio_codec.kind,
        "uniform.objective": config.objective.kind,
        **corpus,
    }


def evaluation_tags(config: RunConfig) -> dict[str, str]:
    """How the clips of an evaluation were made: the tasks, and the sampler of each."""
    return {
        "uniform.tasks": ", ".join(str(task) for task in config.evaluate.tasks),
        "uniform.sampler": "; ".join(map(str, sampling_ways(config))),
    }


def checkpoint_tags(catalog: Catalog, model_id: str) -> dict[str, str]:
    """Which weights: the folder under checkpoints/, the sha256, the steps; nothing of a model that is not there."""
    rows = catalog.rows("SELECT path, weights_sha256, steps FROM models WHERE model_id = ?", parameters=[model_id])
    return {
        name: str(row[column])
        for row in rows[:1]
        for name, column in (
            (CHECKPOINT_TAG, "path"),
            (f"{CHECKPOINT_TAG}.sha256", "weights_sha256"),
            (f"{CHECKPOINT_TAG}.steps", "steps"),
        )
    }


def training_of(catalog: Catalog, model_id: str) -> str:
    """The id of the model whose training this one is of: itself, but of a checkpoint in the middle of one."""
    rows = catalog.rows("SELECT metrics FROM models WHERE model_id = ?", parameters=[model_id])
    return str(json.loads(rows[0]["metrics"]).get("training", model_id)) if rows else model_id


def stands_on(context: RunContext, rows: Rows) -> list[DataVersion]:
    """The tables that scores were made from, as they were each time that some were made; and each side's clips."""
    distinct = dict.fromkeys((row["data_digest"], row["versions"]) for row in rows)
    tables = [DataVersion("evaluation", digest, json.loads(versions), "evaluation") for digest, versions in distinct]
    newest = json.loads(max(rows, key=lambda row: row["created_at"])["versions"])
    versions = {table: newest[table] for table in ("sources", "clips") if table in newest}
    config, clips = context.config, context.clips()
    sides = (
        (config.evaluate.split, evaluation_clips(config, clips), "conditions"),
        (config.evaluate.reference_split, reference_clips(config, clips), "reference"),
    )
    return [
        *tables,
        *(
            DataVersion(f"{config.data.name}, {split}", known_digest(chosen), versions, side)
            for split, chosen, side in sides
        ),
    ]
