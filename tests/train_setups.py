"""What a training worker is handed, for tests of what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.train_worker import TrainSetup
from uniform_core.config import RunConfig
from uniform_core.settings import Settings


def train_setup(config: RunConfig, home: Path, **more: Any) -> TrainSetup:
    """A setup whose folder is the home itself, and which reads nothing."""
    return TrainSetup(
        config_json=config.model_dump_json(),
        folder=str(home),
        tensors_dir="",
        null_text={},
        model_id="a" * 32,
        fingerprint="b" * 32,
        settings_json=Settings(home=home).model_dump_json(),
        run_id="a run",
        versions={"clips": 1},
        data_digest="c" * 64,
        **more,
    )
