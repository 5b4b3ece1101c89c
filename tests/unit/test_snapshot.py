"""A checkpoint in the middle of a training as a model that can be scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from catalog_rows import open_catalog

from flows.cli.generate import MODELS
from tasks import snapshot as snapshots
from tasks.context import RunContext
from tasks.snapshot import newest_snapshot
from tasks.telling import training_of
from uniform_core.build import build_run
from uniform_core.errors import IntegrityError
from uniform_core.fingerprint import digest, file_sha256
from uniform_core.model import UniForm
from uniform_core.progress import silent
from uniform_core.settings import Settings
from uniform_core.training.checkpoint import Checkpoint, CheckpointStore
from uniform_core.training.export import WEIGHTS, load_exported
from uniform_core.training.scaling import LatentScale, ModalityScale

CONFIG, KEY = build_run("nano"), digest("a training")
SCALE = LatentScale(*[ModalityScale(torch.zeros(1), torch.ones(1))] * 2)


@pytest.fixture
def context(home: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    monkeypatch.setattr(snapshots, "training_index", lambda _: (None, KEY))
    monkeypatch.setattr(snapshots, "samples_digest", lambda _: "0" * 64)
    named: dict[str, Any] = {"ray": None, "run_id": "a run", "listener": silent}
    return RunContext(settings=Settings(home=home), config=CONFIG, catalog=open_catalog(home), **named)


def save(context: RunContext, step: int, *, mean: float) -> None:
    """A checkpoint whose averages are all this number."""
    weights = UniForm(CONFIG.model, CONFIG.layout, seed=0).state_dict()
    averages = {name: torch.full_like(value, mean) for name, value in weights.items()}
    averages |= {"updates": torch.tensor(step)}
    store = CheckpointStore(context.settings.checkpoints_dir / KEY / "steps", keep=2)
    store.save(Checkpoint(step, KEY, weights, averages, {}, {"world": 1, "scale": SCALE.to_json()}))


def test_the_newest_checkpoint_is_exported_once_with_its_averages(context: RunContext) -> None:
    assert newest_snapshot(context) is None
    save(context, 4, mean=0.25)
    history = context.settings.checkpoints_dir / KEY / "history.jsonl"
    history.write_text("".join(json.dumps({"step": n, "validation": {"a": n}}) + "\n" for n in (2, 4, 6)))
    found = newest_snapshot(context)
    assert found is not None
    exported = load_exported(found.folder)
    assert exported.card.steps == 4
    assert {float(value.mean()) for value in exported.model.state_dict().values()} == {0.25}
    [row] = context.catalog.read("models").to_pylist()
    assert (row["kind"], row["steps"], row["model_id"]) == ("checkpoint", 4, found.model_id)
    assert json.loads(row["metrics"])["validation"] == {"a": 4}, "not the losses of later steps"
    assert newest_snapshot(context) == found
    assert context.catalog.read("models").num_rows == 1
    assert training_of(context.catalog, found.model_id) == KEY
    assert context.catalog.rows(MODELS) == [], "nobody takes it for a finished model"
    save(context, 6, mean=0.5)
    later = newest_snapshot(context)
    assert later is not None
    assert later.model_id != found.model_id


def test_one_that_vanishes_while_it_is_read_is_read_again(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    save(context, 4, mean=0.25)
    latest, tries = CheckpointStore.latest, []

    def vanishes(self: CheckpointStore, *, fingerprint: str) -> Any:
        tries.append(fingerprint)
        if len(tries) == 1:
            raise FileNotFoundError
        return latest(self, fingerprint=fingerprint)

    monkeypatch.setattr(CheckpointStore, "latest", vanishes)
    assert newest_snapshot(context) is not None
    assert tries == [KEY, KEY]


def damage(context: RunContext, step: int) -> None:
    folder = context.settings.checkpoints_dir / KEY / "steps" / f"step_{step:09d}"
    (folder / "ema.safetensors").write_bytes(b"torn")


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_taken(context: RunContext) -> None:
    save(context, 4, mean=0.25)
    save(context, 6, mean=0.5)
    damage(context, 6)
    found = newest_snapshot(context)
    assert found is not None
    assert (found.step, len(found.notes)) == (4, 1)
    assert found.notes[0].startswith("checkpoint step_000000006 skipped: ")
    damage(context, 4)
    with pytest.raises(IntegrityError, match=r"step_000000006 skipped: .*step_000000004 skipped: .*uniform train"):
        newest_snapshot(context)


def test_an_export_that_was_lost_is_made_again(context: RunContext) -> None:
    save(context, 4, mean=0.25)
    found = newest_snapshot(context)
    assert found is not None
    before = file_sha256(found.folder / WEIGHTS)
    shutil.rmtree(found.folder)
    assert newest_snapshot(context) == found
    assert file_sha256(found.folder / WEIGHTS) == before
    assert context.catalog.read("models").num_rows == 1
