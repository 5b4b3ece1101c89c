"""The guide: an early moving average that training keeps, through kills, to the exported model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_toy import make_config, make_source, make_trainer

from uniform_core.build import build_run
from uniform_core.catalog.verify import _model_fault
from uniform_core.diffusion import GuidanceConfig, GuideScale
from uniform_core.errors import ConfigError, IntegrityError
from uniform_core.generation.config import SampleConfig
from uniform_core.training.checkpoint import GUIDE, CheckpointStore
from uniform_core.training.export import ModelCard, export_model, load_exported
from uniform_core.training.fit import fit

CONFIG = make_config(guide_at=0.5)  # after three of six steps


def test_the_guide_is_the_average_as_it_was(tmp_path: Path) -> None:
    whole, early = make_trainer(CONFIG), make_trainer(CONFIG)
    source = make_source(CONFIG)
    fit(whole, source)
    for step in range(3):
        early.train_step(source.batch_at(step))
    assert not make_trainer(CONFIG).guide
    assert all(torch.equal(whole.guide[name], value) for name, value in early.averaged_weights().items())
    assert any(not torch.equal(whole.guide[name], value) for name, value in whole.averaged_weights().items())


@pytest.mark.parametrize("killed_after", [2, 4])
def test_a_killed_training_ends_with_the_same_guide(killed_after: int, tmp_path: Path) -> None:
    source = make_source(CONFIG)
    whole = make_trainer(CONFIG)
    fit(whole, source)
    store = CheckpointStore(tmp_path, keep=3)
    killed = make_trainer(CONFIG)
    for step in range(killed_after):
        killed.train_step(source.batch_at(step))
    store.save(killed.checkpoint(extra={}))
    again = make_trainer(CONFIG)
    fit(again, source, checkpoints=store)
    assert again.guide.keys() == whole.guide.keys()
    assert all(torch.equal(again.guide[name], value) for name, value in whole.guide.items())


def test_a_checkpoint_that_lacks_its_guide_is_refused() -> None:
    trainer = make_trainer(CONFIG)
    source = make_source(CONFIG)
    for step in range(4):
        trainer.train_step(source.batch_at(step))
    trainer.guide = {}
    checkpoint = trainer.checkpoint(extra={})
    with pytest.raises(ConfigError, match="guide/"):
        make_trainer(CONFIG).restore(checkpoint)


def test_an_exported_guide_comes_back_and_its_damage_is_found(tmp_path: Path) -> None:
    trainer = make_trainer(CONFIG)
    fit(trainer, make_source(CONFIG))
    model = trainer.model
    card = ModelCard(model.config, model.layout, trainer.objective_config, trainer.scale, 8.0, "f", 6, {})
    folder = tmp_path / "model"
    export_model(folder, trainer.averaged_weights(), card=card, guide=trainer.guide)
    found = load_exported(folder)
    assert found.guide is not None
    assert all(torch.equal(value, trainer.guide[name]) for name, value in found.guide.state_dict().items())
    export_model(tmp_path / "plain", trainer.averaged_weights(), card=card)
    assert load_exported(tmp_path / "plain").guide is None
    (folder / GUIDE).write_bytes(b"no weights")
    with pytest.raises(IntegrityError, match=GUIDE):
        load_exported(folder)


def test_a_scale_without_a_guide_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"guide_scale needs a guide: set train\.guide_at"):
        build_run("nano", overrides=["sample.guidance.guide_scale.audio=1.5", "train.guide_at=null"])


def test_what_is_not_used_changes_no_fingerprint() -> None:
    sample = SampleConfig(sampler=build_run("nano").sample.sampler)
    assert "guide_scale" not in sample.fingerprint_params()["guidance"]
    guided = sample.model_copy(update={"guidance": GuidanceConfig(guide_scale=GuideScale(audio=2.0))})
    assert guided.fingerprint_params()["guidance"]["guide_scale"] == {"video": 1.0, "audio": 2.0}
    assert "guide_scale_given" not in guided.fingerprint_params()["guidance"]
    apart = GuidanceConfig(guide_scale_given=GuideScale(audio=2.0))
    assert apart != apart.without_guide()
    params = sample.model_copy(update={"guidance": apart}).fingerprint_params()["guidance"]
    assert params["guide_scale_given"] == {"video": 1.0, "audio": 2.0}
    assert "guide_at" not in make_config().fingerprint_params()
    assert CONFIG.fingerprint_params()["guide_at"] == 0.5


def test_verify_reads_the_guide_beside_the_weights(tmp_path: Path) -> None:
    trainer = make_trainer(CONFIG)
    fit(trainer, make_source(CONFIG))
    model = trainer.model
    card = ModelCard(model.config, model.layout, trainer.objective_config, trainer.scale, 8.0, "f", 6, {})
    sha256 = export_model(tmp_path / "model", trainer.averaged_weights(), card=card, guide=trainer.guide)
    row = {"path": "model", "sha256": sha256}
    assert _model_fault(tmp_path, row, deep=True) is None
    (tmp_path / "model" / GUIDE).write_bytes(b"no weights")
    assert "content differs" in (_model_fault(tmp_path, row, deep=True) or "")
    (tmp_path / "model" / GUIDE).unlink()
    assert _model_fault(tmp_path, row, deep=True) == f"no {GUIDE}"
