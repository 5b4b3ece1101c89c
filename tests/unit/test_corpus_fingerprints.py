"""What changes weights changes the model's id, and what does not leaves it."""

from __future__ import annotations

import pytest

from uniform_core.build import build_run
from uniform_core.corpus.fingerprints import model_id, train_fingerprint

BASE = train_fingerprint(build_run("nano"))


@pytest.mark.parametrize(
    "change",
    [
        "train.lr=0.5",
        "train.steps=9",
        "train.seed=1",
        "train.text_drop=0.5",
        "train.ema_decay=0.5",
        "train_workers=1",
        "task_columns=4",
        "model.depth=2",
        "model.modality_embedding=true",
        "model.null_text=reference",
        "model.audio_form=plain_view",
        "objective.location=1.0",
        "text.token_limit=9",
        "resize=squash",
        'captioners=[{"kind":"class_label"}]',
        "spec.video_rate_hz=8",
    ],
)
def test_what_changes_weights_is_another_training(change: str) -> None:
    also = ["model.text.dimensions=64"] if change.startswith("text.dim") else []
    assert train_fingerprint(build_run("nano", overrides=[change, *also])) != BASE


@pytest.mark.parametrize(
    ("preset", "fingerprint"),
    [
        ("tiny", "720710ede95cdb5b9a8963c950c55c78"),
        ("tiny_iddpm", "5ecb2d278d78183a125c5873e20828fb"),
        ("nano", "4209547b44d02f191e78343a75220c19"),
    ],
)
def test_options_that_came_later_leave_trained_models_their_ids(preset: str, fingerprint: str) -> None:
    assert train_fingerprint(build_run(preset)) == fingerprint


@pytest.mark.parametrize(
    "change",
    ["train.log_every=5", "train.keep_checkpoints=9", "train.checkpoint_every=2", "sample.batch=2", "evaluate.seed=3"],
)
def test_what_does_not_change_weights_is_the_same_training(change: str) -> None:
    assert train_fingerprint(build_run("nano", overrides=[change])) == BASE


def test_other_data_is_another_model() -> None:
    config = build_run("nano")
    assert model_id(config, "d" * 64) != model_id(config, "e" * 64)
