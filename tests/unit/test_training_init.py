"""A training that starts from other weights: what its average, its card, its fingerprint and MLflow know of it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import torch
from services import seed_tracking
from train_setups import train_setup
from training_toy import LAYOUT, MODEL, make_config, make_trainer

from flows.cli.work import stages_text
from tasks.stage import StageSummary
from tasks.train_worker import _export, _Rank0Log, init_account, new_trainer
from uniform_core.build import build_run
from uniform_core.config import RunConfig
from uniform_core.corpus.fingerprints import train_fingerprint
from uniform_core.diffusion import RectifiedFlowConfig
from uniform_core.errors import ConfigError
from uniform_core.model import InitConfig, UniForm, initialise_from
from uniform_core.training.checkpoint import load_tensors
from uniform_core.training.export import ModelCard, export_model, read_card
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.training.trainer import Trainer


def export_of(model: UniForm, folder: Path) -> Path:
    trainer = make_trainer(make_config())
    card = ModelCard(model.config, model.layout, RectifiedFlowConfig(), trainer.scale, 8.0, "f" * 32, 3, {})
    export_model(folder, model.state_dict(), card=card)
    return folder


def run_from(folder: Path, **change: str) -> RunConfig:
    words = {"train.init.source": "export", "train.init.weights": str(folder)} | change
    return build_run("nano", overrides=[f"{name}={value}" for name, value in words.items()])


def trainer_of(config: RunConfig) -> Trainer:
    raw = torch.randn(4, *config.layout.video_CTHW), torch.randn(4, *config.layout.audio_CTF)
    scale = fit_latent_scale(config.train.scaling, [raw])
    null_LD = torch.zeros(1, config.model.text_width)
    return new_trainer(
        config, config.train.init, scale=scale, null_LD=null_LD, fingerprint="f", device=torch.device("cpu")
    )


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A model of nano's form, with other weights than a fresh one has."""
    config = build_run("nano")
    model = UniForm(config.model, config.layout, seed=11)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.5)
    return export_of(model, tmp_path / "exported")


def test_an_average_begins_with_the_weights_that_were_loaded(exported: Path) -> None:
    trainer = trainer_of(run_from(exported))
    theirs = load_tensors(exported / "model.safetensors")
    for state in (trainer.model.state_dict(), trainer.averaged_weights()):
        assert state.keys() == theirs.keys()
        assert all(torch.equal(state[name], value) for name, value in theirs.items())


def test_an_export_is_loaded_whole_and_may_lack_what_an_option_adds(tmp_path: Path) -> None:
    folder = export_of(UniForm(MODEL, LAYOUT, seed=1), tmp_path / "m")
    init = InitConfig(source="export", weights=str(folder))
    report = initialise_from(UniForm(MODEL, LAYOUT, device="meta"), init)
    assert (report.skipped, report.new) == ({}, {})
    richer = MODEL.model_copy(update={"modality_embedding": True})
    assert initialise_from(UniForm(richer, LAYOUT), init).new == {"modality_embedder.weight": "zeros"}
    rich = InitConfig(source="export", weights=str(export_of(UniForm(richer, LAYOUT), tmp_path / "rich")))
    with pytest.raises(ConfigError, match=r"1 unexpected \(modality_embedder\.weight"):
        initialise_from(UniForm(MODEL, LAYOUT), rich)
    named_otherwise = InitConfig(source="opensora_v1_2", weights=str(folder / "model.safetensors"))
    with pytest.raises(ConfigError, match="expected weights of source opensora_v1_2; found those of source export"):
        initialise_from(UniForm(MODEL, LAYOUT), named_otherwise)


def test_an_export_that_is_damaged_or_none_is_refused_before_anything_starts(exported: Path, tmp_path: Path) -> None:
    path = exported / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"found model\.safetensors has other content than was written"):
        init_account(run_from(exported))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"found no model\.json"):
        init_account(run_from(tmp_path / "empty"))
    assert init_account(build_run("nano")) is None


def test_fingerprints_know_the_weights_and_not_where_they_lie(exported: Path, tmp_path: Path) -> None:
    first = train_fingerprint(run_from(exported))
    assert first != train_fingerprint(build_run("nano"))
    exported.rename(tmp_path / "elsewhere")
    assert train_fingerprint(run_from(tmp_path / "elsewhere")) == first
    config = build_run("nano")
    other = export_of(UniForm(config.model, config.layout, seed=12), tmp_path / "other")
    assert train_fingerprint(run_from(other)) != first
    assert str(tmp_path) not in json.dumps(run_from(other).train.fingerprint_params())


def test_a_relative_path_is_found_from_another_folder(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported.parent)
    init = InitConfig(source="export", weights="./exported").located()
    assert init.weights == str(exported)
    named = InitConfig(source="opensora_v1_2", weights="opensora-vae-1.2")
    assert named.located() is named
    assert InitConfig().located() == InitConfig()


def test_the_account_is_in_the_card_in_mlflow_and_printed(
    exported: Path, tmp_path: Path, tracking_template: Path
) -> None:
    config = run_from(exported)
    report = init_account(config)
    assert report is not None
    weights = len(load_tensors(exported / "model.safetensors"))

    assert report.as_json()["loaded"] == weights
    assert read_card(exported).init is None

    seed_tracking(tracking_template, tmp_path)
    facts = {"audio_codec.keep": 17}
    setup = train_setup(config, tmp_path, init=report.as_json(), facts=facts)
    _export(trainer_of(config), setup)
    card = read_card(tmp_path / "model")
    assert (card.init, card.facts) == (report.as_json(), facts)
    for _ in range(2):  # a training that goes on says the same again
        with _Rank0Log(setup):
            pass
    with sqlite3.connect(f"file:{tmp_path / 'mlflow.db'}?mode=ro", uri=True) as database:
        told = dict(database.execute("SELECT key, value FROM params WHERE key LIKE 'init.%'"))
        (keep,) = database.execute("SELECT value FROM params WHERE key = 'audio_codec.keep'").fetchone()
    assert (keep, config.audio_codec.model_dump()["keep"]) == ("17", 16), "what weights say stands for the config's"
    assert told["init.loaded"] == str(weights)
    assert (told["init.source"], told["init.weights_digest"]) == ("export", report.digest)

    summary = StageSummary.complete("train", 8, done=8, wall_s=1.0, cpu_s=1.0, note=report.text())
    plain = StageSummary.complete("text", 8, done=8, wall_s=1.0, cpu_s=1.0)
    printed = stages_text([plain.as_dict(), summary.as_dict()])
    assert f"{weights} weights loaded, 0 skipped, 0 new" in printed
    assert printed.count("\n\n") == 1
