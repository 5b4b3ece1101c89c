"""TorchScript nets: their code runs only by a person's word and a known sha256, and what they say is looked at."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from uniform_core.errors import ConfigError
from uniform_core.fingerprint import file_sha256
from uniform_core.metrics.published import ScriptConfig, c3d_ucf101, i3d_torchscript
from uniform_core.weights import MANIFEST, WeightsFile
from uniform_core.weights.pull import pull_weights


class Colours(torch.nn.Module):
    """The mean of each colour, scaled and doubled on demand: what StyleGAN-V's nets are called with."""

    def forward(
        self, clips: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        means = clips.mean(dim=(2, 3, 4))
        if rescale:
            means = means / 255 * 2 - 1
        if return_features and resize:
            return means
        return torch.softmax(means, dim=1)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and the published files are its
        torch.jit.save(torch.jit.script(Colours()), path)
    return path


def clips(*, frames: int = 16) -> Tensor:
    return torch.arange(2 * 3 * frames * 4, dtype=torch.float32).reshape(2, 3, frames, 2, 2) % 256


def config_of(script: Path, **change: object) -> ScriptConfig:
    known = {"weights": str(script), "sha256": file_sha256(script), "device": "cpu", "allow_code": True}
    return i3d_torchscript(**{**known, **change})  # type: ignore[arg-type]


def test_features_and_probabilities_of_clips(script: Path) -> None:
    features = config_of(script).build().outputs(clips())
    expected = clips().mean(dim=(2, 3, 4)) / 255 * 2 - 1
    np.testing.assert_allclose(features, expected, atol=1e-6)
    settings = {"weights": str(script), "sha256": file_sha256(script), "device": "cpu"}
    said = c3d_ucf101(allow_code=True, **settings).build().outputs(clips())
    np.testing.assert_allclose(said, torch.softmax(clips().mean(dim=(2, 3, 4)), dim=1), atol=1e-6)


def test_its_code_runs_only_by_a_persons_word_and_a_known_sha256(script: Path) -> None:
    for change, said in (
        ({"allow_code": False}, "Say that its code may run"),
        ({"sha256": None}, "no sha256 says which"),
    ):
        config = config_of(script, **change)
        for ask in (config.require_weights, config.build):
            with pytest.raises(ConfigError, match=said):
                ask()
    with pytest.raises(ConfigError, match="and not the pinned 0000"):
        config_of(script, sha256="0" * 64).build()
    assert ScriptConfig(weights="x").allow_code is False


def test_what_a_name_is_pinned_to_says_which_code_it_is(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published sha256 of one, and the one that was seen first of another of which none was published."""
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path))
    config = c3d_ucf101(allow_code=True, device="cpu")
    with pytest.raises(ConfigError, match="uniform weights pull c3d-ucf101-torchscript"):
        config.build()
    before = config.fingerprint
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "c3d_ucf101.pt").write_bytes(script.read_bytes())
    pull_weights(config.weights, given=tmp_path / "given")
    assert len(config.build().outputs(clips())) == 2
    assert config.fingerprint != before
    path = tmp_path / config.weights / "c3d_ucf101.pt"
    path.unlink()
    path.write_bytes(script.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigError, match="and not the pinned"):
        config.build()
    published = MANIFEST["i3d-400-torchscript"].files[0]
    assert i3d_torchscript(allow_code=True).fingerprint_params()["sha256"] == published.sha256
    other = MANIFEST["i3d-400-torchscript"].model_copy(update={"files": (WeightsFile(path="i3d_torchscript.pt"),)})
    monkeypatch.setitem(MANIFEST, "i3d-400-torchscript", other)
    assert i3d_torchscript(allow_code=True).fingerprint_params()["sha256"] is None


def test_what_it_cannot_look_at_and_what_it_may_not_say(script: Path) -> None:
    with pytest.raises(ConfigError, match="expected clips of at least 9 frames; found 8"):
        config_of(script).build().outputs(clips(frames=8))
    with pytest.raises(ConfigError, match="expected a clip that it can look at"):
        config_of(script, options=("nothing",)).build().outputs(clips())
    with pytest.raises(ConfigError, match="expected probabilities that sum to 1; found a sum of"):
        config_of(script, output="probabilities").build().outputs(clips())
    with pytest.raises(ConfigError, match="expected finite numbers"):
        config_of(script).build().outputs(clips() * float("inf"))
