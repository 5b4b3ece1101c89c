"""`uniform generate`: what it refuses before any model is loaded, which model it takes, and one clip of each task."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from catalog_rows import open_catalog, sha, stamp

from flows.cli.generate import choose_model, order_of, whole
from flows.cli.main import main
from uniform_core.build import build_run
from uniform_core.corpus.made_with import config_of
from uniform_core.errors import ConfigError, IntegrityError, StorageError, WorkFailedError
from uniform_core.media import DecodeRule, Sandbox, write_mp4
from uniform_core.types import Modality


def words(task: str, **given) -> argparse.Namespace:
    return argparse.Namespace(**{"task": task, "text": None, "video": None, "audio": None, "seed": 0, **given})


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("t2av", {}, "--text is missing"),
        ("t2av", {"text": "  "}, "--text is missing"),
        ("t2av", {"text": "a", "video": "x.mp4"}, "--video does not belong"),
        ("v2a", {"text": "a"}, "--video is missing"),
        ("v2a", {"audio": "x"}, "--video is missing; --audio does not belong"),
        ("a2v", {"video": "x"}, "--video does not belong to it; --audio is missing"),
        ("v2a", {"video": "/nowhere/x.mp4"}, "nothing there"),
        ("a2v", {"audio": "/"}, "a folder"),
    ],
)
def test_words_that_do_not_fit_the_task_are_all_said_at_once(tmp_path, task, given, said):
    with pytest.raises(ConfigError) as caught:
        order_of(words(task, out=str(tmp_path / "o.mp4"), **given))
    assert said in caught.value.found


@pytest.mark.parametrize("out", [".", "file/o.mp4"])
def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path, out):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError):
        order_of(words("t2av", text="a", out=str(tmp_path / out)))


def test_the_given_file_is_never_overwritten(tmp_path):
    film = tmp_path / "mine.mp4"
    film.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="another file"):
        order_of(words("v2a", video=str(film), out=str(film)))


def test_an_order_may_go_to_a_folder_that_is_not_there_yet(tmp_path):
    order = order_of(words("t2av", text=" a ball ", out=str(tmp_path / "new" / "o.mp4")))
    assert (order.text, order.given) == ("a ball", None)
    assert not order.out.parent.exists()


MODELS = [{"model_id": "ab1" + "0" * 29}, {"model_id": "ab2" + "0" * 29}]


def test_a_model_is_the_newest_or_the_only_one_that_begins_so():
    assert choose_model(MODELS, None) is MODELS[0]
    assert choose_model(MODELS, "ab2") is MODELS[1]
    for beginning in ("ab", "ff", ""):
        with pytest.raises(ConfigError):
            choose_model(MODELS, beginning)
    with pytest.raises(WorkFailedError, match="uniform run"):
        choose_model([], None)


def test_a_card_that_does_not_tell_its_config_is_said(tmp_path):
    config = build_run("nano")
    assert config_of(config.model_dump(mode="json"), tmp_path) == config
    with pytest.raises(IntegrityError):
        config_of({"preset": "nano"}, tmp_path)


def test_a_little_may_be_missing_at_the_end_and_no_more(tmp_path):
    frames = np.arange(31 * 3, dtype=np.uint8).reshape(31, 1, 1, 3)
    held = whole(frames, 32, unit_s=1 / 16, path=tmp_path, slack=1)
    assert len(held) == 32
    assert np.array_equal(held[-1], frames[-1])
    sound = whole(np.ones(90, np.float32), 100, unit_s=0.02, path=tmp_path, slack=10)
    assert sound[-10:].sum() == 0
    assert len(whole(np.ones(200, np.float32), 100, unit_s=0.02, path=tmp_path, slack=10)) == 100
    for short in (frames[:30], None):
        with pytest.raises(ConfigError, match="at least 2 s"):
            whole(short, 32, unit_s=1 / 16, path=tmp_path, slack=1)


@pytest.fixture
def model_home(home):
    """A home with an untrained model of the preset nano, exported as training exports it."""
    import torch

    from uniform_core.model import UniForm
    from uniform_core.training.export import ModelCard, export_model
    from uniform_core.training.scaling import fit_latent_scale

    config = build_run("nano", overrides=["sample.sampler.steps=1", "vocoder.iterations=1"])
    layout, generator = config.layout, torch.Generator().manual_seed(0)
    model = UniForm(config.model, layout, seed=0)
    raw = [tuple(torch.randn((4, *shape), generator=generator) for shape in (layout.video_CTHW, layout.audio_CTF))]
    card = ModelCard(
        model=config.model,
        layout=layout,
        objective=config.objective,
        scale=fit_latent_scale(config.train.scaling, raw),
        video_rate_hz=float(config.spec.video_rate_hz),
        fingerprint="f" * 32,
        steps=0,
        made_with=config.model_dump(mode="json"),
    )
    weights = export_model(
        home / "checkpoints" / "m" / "model", model.state_dict(), card=card, guide=model.state_dict()
    )
    row = stamp(work_key="c" * 32, model_id="c" * 32, kind="uniform", path="m/model", weights_sha256=weights, steps=0)
    row |= {"parameters": 1, "data_digest": sha("d"), "versions": "{}", "metrics": "{}"}
    open_catalog(home).insert("models", [row])
    return config


@pytest.fixture
def film(tmp_path, model_home):
    """Three seconds of picture with sound, of another size, rate and sampling rate than the spec's."""
    t = np.arange(75)
    frames = np.zeros((75, 60, 80, 3), np.uint8)
    frames[:, :, :40] = (t * 3).astype(np.uint8)[:, None, None, None]
    sound = np.sin(np.arange(3 * 22_050) / 15).astype(np.float32) / 2
    return write_mp4(tmp_path / "film.mp4", frames, sound, video_rate_hz=25, audio_rate_hz=22_050)


def decoded(path: Path):
    with Sandbox() as sandbox:
        return sandbox.decode(path, DecodeRule())


def test_each_task_gives_a_film_with_sound(model_home, film, tmp_path, capsys):
    for task, given in (
        ("t2av", ["--text", "a ball"]),
        ("v2a", ["--video", str(film)]),
        ("a2v", ["--audio", str(film), "--text", "a ball"]),
    ):
        out = tmp_path / f"{task}.mp4"
        assert main(["generate", task, *given, "--out", str(out), "--json", "--model", "cc"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["path"] == str(out)
        media = decoded(out)
        assert media.frames_THWC.shape == (model_home.spec.frames, 192, 192, 3)
        assert len(media.waveform_N) >= model_home.spec.samples
        if task == "v2a":  # the person's own picture: left half brightens, right half stays dark
            assert media.frames_THWC[-1, 96, 20, 0] > media.frames_THWC[4, 96, 20, 0] + 40
            assert media.frames_THWC[-1, 96, 170].max() < 40


@pytest.mark.parametrize(
    ("task", "content", "said"),
    [("v2a", "text", "not_media"), ("a2v", "silent film", "no_audio"), ("v2a", "short film", "at least 1.5 s")],
)
def test_a_file_that_cannot_be_used_is_one_paragraph_and_exit_code_2(model_home, tmp_path, capsys, task, content, said):
    path = tmp_path / "given.mp4"
    frames = np.zeros((60 if content == "silent film" else 10, 32, 32, 3), np.uint8)
    if content == "text":
        path.write_text("<html>")
    else:
        write_mp4(path, frames, None, video_rate_hz=25, audio_rate_hz=16_000)
    flag = "--video" if task == "v2a" else "--audio"
    assert main(["generate", task, flag, str(path), "--out", str(tmp_path / "o.mp4")]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "o.mp4").exists()


def test_without_a_model_the_error_says_what_to_do(home, capsys):
    assert main(["generate", "t2av", "--text", "a"]) == 1
    assert "Run `uniform run` first" in " ".join(capsys.readouterr().err.split())


def test_modalities_have_a_flag_each():
    from flows.cli.generate import FLAGS

    assert set(FLAGS) == set(Modality)
