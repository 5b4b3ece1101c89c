"""The exported model: averaged weights and all that is needed, loaded strictly or not at all."""

import json
from pathlib import Path

import pytest
import torch
from training_toy import LAYOUT, MODEL, make_config, make_source, make_trainer

from uniform_core.diffusion import RectifiedFlowConfig
from uniform_core.errors import ConfigError, FormatTooNewError, IntegrityError
from uniform_core.fingerprint import file_sha256
from uniform_core.training.checkpoint import load_tensors, save_tensors
from uniform_core.training.export import ModelCard, export_model, load_exported, read_card
from uniform_core.training.fit import fit
from uniform_core.training.trainer import Trainer


def card_of(trainer: Trainer) -> ModelCard:
    return ModelCard(
        model=MODEL,
        layout=LAYOUT,
        objective=RectifiedFlowConfig(location=0.5),
        scale=trainer.scale,
        video_rate_hz=8.0,
        fingerprint="f" * 32,
        steps=trainer.step,
        made_with={"text": {"kind": "hashing"}},
    )


def seal_again(folder: Path) -> None:
    """The marker as if the folder had been written so."""
    marker = json.loads((folder / "COMPLETE").read_text())
    for name in marker:
        marker[name] = {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
    (folder / "COMPLETE").write_text(json.dumps(marker))


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, Trainer]:
    config = make_config(steps=3, validation_clips=0)
    trainer = make_trainer(config)
    fit(trainer, make_source(config))
    export_model(tmp_path / "model", trainer.averaged_weights(), card=card_of(trainer))
    return tmp_path / "model", trainer


def test_what_is_loaded_is_what_was_trained(exported: tuple[Path, Trainer]) -> None:
    folder, trainer = exported
    loaded = load_exported(folder)
    assert loaded.weights_sha256 == file_sha256(folder / "model.safetensors")
    assert not loaded.model.training
    weights = trainer.averaged_weights()
    state = loaded.model.state_dict()
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)
    card = card_of(trainer)
    for field in ("model", "layout", "objective", "video_rate_hz", "fingerprint", "steps", "made_with"):
        assert getattr(loaded.card, field) == getattr(card, field)
    assert torch.equal(loaded.card.scale.video.divisor, card.scale.video.divisor)
    assert torch.equal(loaded.card.scale.audio.shift, card.scale.audio.shift)


def test_missing_foreign_and_misshapen_weights_are_refused(exported: tuple[Path, Trainer]) -> None:
    folder, _ = exported
    whole = load_tensors(folder / "model.safetensors")
    name = "final_layer.linear.weight"
    for change in ({name: None}, {name: whole[name][:1]}, {"stranger": torch.zeros(1)}):
        changed = {key: value for key, value in (whole | change).items() if value is not None}
        save_tensors(folder / "model.safetensors", changed)
        seal_again(folder)
        with pytest.raises(IntegrityError, match="1 that differ, such as " + next(iter(change))):
            load_exported(folder)


def test_damage_is_found(exported: tuple[Path, Trainer]) -> None:
    folder, _ = exported
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 255
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match="other content"):
        load_exported(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(IntegrityError, match="a readable model"):
        read_card(folder)


def test_a_newer_format_and_no_model_are_said(exported: tuple[Path, Trainer], tmp_path: Path) -> None:
    folder, _ = exported
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | {"format": 99}))
    with pytest.raises(FormatTooNewError, match="format 1 or older"):
        load_exported(folder)
    with pytest.raises(ConfigError, match="a folder with model"):
        load_exported(tmp_path / "nothing")
