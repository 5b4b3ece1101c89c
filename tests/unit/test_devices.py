"""On what networks are run: what a word means where there is a GPU and where there is none. No GPU is touched."""

from __future__ import annotations

import pytest
import torch

from tasks.train import on_gpus
from uniform_core.build import build_run
from uniform_core.devices import device_of, gpus, is_on_gpu
from uniform_core.errors import ConfigError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_everything_is_on_the_cpu_and_a_wanted_one_is_missed() -> None:
    assert (gpus(), device_of("auto").type, device_of("cpu").type) == (0, "cpu", "cpu")
    with pytest.raises(ConfigError, match=r"train\.device: expected a GPU .* Set train\.device to auto or cpu"):
        device_of("cuda", item="train.device")
    paper = build_run("paper")
    assert not is_on_gpu(paper.video_codec, paper.train, paper.text)
    assert not on_gpus(paper)


@pytest.mark.usefixtures("two_gpus")
def test_auto_takes_a_gpu_and_the_tiny_presets_do_not() -> None:
    assert (gpus(), device_of("auto").type, device_of("cpu").type) == (2, "cuda", "cpu")
    for preset, expected in (("paper", True), ("tiny", False), ("tiny_iddpm", False), ("nano", False)):
        config = build_run(preset)
        parts = (config.video_codec, config.audio_codec, config.vocoder, config.text, config.train, config.sample)
        assert is_on_gpu(*parts) is on_gpus(config) is expected


@pytest.mark.usefixtures("two_gpus")
def test_each_rank_needs_a_gpu_of_its_own() -> None:
    four = build_run("paper", overrides=["train_workers=4"])
    with pytest.raises(
        ConfigError, match=r"train_workers: expected at most the 2 GPUs .*found 4\. Set train_workers=2"
    ):
        on_gpus(four)
    assert not on_gpus(build_run("paper", overrides=["train_workers=4", "train.device=cpu"]))


def test_where_it_runs_is_in_no_fingerprint() -> None:
    on, off = (
        build_run("tiny", overrides=[f"train.device={word}", f"sample.device={word}"]) for word in ("auto", "cpu")
    )
    assert on.train.fingerprint_params() == off.train.fingerprint_params()
    assert on.sample.fingerprint_params() == off.sample.fingerprint_params()
