"""What a training looks at before anything is made for it, and what rank 0 writes of its steps."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalog_rows import open_catalog
from services import seed_tracking
from train_setups import train_setup

from tasks.train import run_train
from tasks.train_worker import HISTORY, _Rank0Log
from uniform_core.build import build_run
from uniform_core.corpus.inputs import current_clips
from uniform_core.errors import WorkFailedError
from uniform_core.progress import silent
from uniform_core.settings import Settings
from uniform_core.training.trainer import StepReport
from uniform_core.types import Modality, Task


def test_nothing_is_made_where_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    config, catalog = build_run("nano"), open_catalog(tmp_path)
    clips = current_clips(catalog, config, listed=())
    settings = Settings(home=tmp_path)
    context: Any = SimpleNamespace(
        settings=settings, config=config, catalog=catalog, clips=lambda: clips, run_id="a run", listener=silent
    )
    with pytest.raises(WorkFailedError, match="at least one clip with both latents"):
        run_train(context)
    assert not settings.checkpoints_dir.exists()
    assert not (tmp_path / "mlflow.db").exists()


def test_terms_of_the_loss_are_written_beside_it(tmp_path: Path, tracking_template: Path) -> None:
    seed_tracking(tracking_template, tmp_path)
    setup = train_setup(build_run("nano"), tmp_path)
    losses, terms = {Modality.AUDIO: 1.25}, {"audio_mse": 1.0, "audio_vb": 0.25}
    with _Rank0Log(setup) as log:
        log.step(StepReport(7, Task.V2A, 1.25, losses, terms, grad_norm=0.5, lr=0.1, clips=4))
    (record,) = (json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines())
    assert (record["task"], record["losses"], record["terms"]) == ("v2a", {"audio": 1.25}, terms)
    with sqlite3.connect(f"file:{tmp_path / 'mlflow.db'}?mode=ro", uri=True) as database:
        told = {(key, value, step) for key, value, step in database.execute("SELECT key, value, step FROM metrics")}
    assert {("loss/v2a.audio", 1.25, 7), ("term/v2a.audio_mse", 1.0, 7), ("term/v2a.audio_vb", 0.25, 7)} <= told
