"""The fingerprint of a training run: what decides its weights, apart from rounding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from uniform_core.fingerprint import digest, stage_fingerprint
from uniform_core.spec import LatentLayout
from uniform_core.training.config import TrainConfig
from uniform_core.types import Frozen

VERSION = 1


def training_fingerprint(
    config: TrainConfig,
    *,
    model: Frozen,
    layout: LatentLayout,
    objective: Frozen,
    data_digest: str,
    made_with: Mapping[str, Any],
    upstream: Iterable[str] = (),
) -> str:
    """32 hex digits of everything that changes the weights. `data_digest` is that of the tables that are trained on."""
    params = {
        "train": config.fingerprint_params(),
        "model": model.model_dump(mode="json"),
        "layout": asdict(layout),
        "objective": objective.model_dump(mode="json"),
        "data": data_digest,
        "made_with": dict(made_with),
    }
    return stage_fingerprint("train", version=VERSION, params=params, upstream=upstream)


def derive_model_id(fingerprint: str, data_digest: str) -> str:
    """The identity of trained weights in the table `models`."""
    return digest(["model", fingerprint, data_digest])
