"""Our log-mel against the reference's, on every golden folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_data import corrupted, golden_arrays, golden_folders

from uniform_core.codecs.mel import log_mel, mel_basis
from uniform_core.codecs.sound_form import peak_half
from uniform_core.spec import AVSpec

PAPER = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)
# float32 against float64 of the same computation differs by 3.5e-3 in bins near the floor, 1.1e-5 in the mean.
MAX_ABS, MEAN_ABS = 1e-2, 1e-4


@pytest.fixture(params=golden_folders("mel"), ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest) -> dict[str, torch.Tensor]:
    folder: Path = request.param
    return golden_arrays(folder / "mel.npz")


def assert_near(mel_TF: torch.Tensor, expected_FT: torch.Tensor) -> None:
    assert mel_TF.shape == expected_FT.T.shape
    error = (mel_TF - expected_FT.T).abs()
    assert error.max() < MAX_ABS
    assert error.mean() < MEAN_ABS


def test_training_form(golden: dict[str, torch.Tensor]):
    assert_near(log_mel(golden["waveform"][None], PAPER)[0], golden["mel_training"])


def test_inference_form(golden: dict[str, torch.Tensor]):
    waveform = golden["waveform"]
    mel_TF = log_mel(waveform[None], PAPER, form="inference")[0]
    assert len(mel_TF) == len(waveform) // PAPER.hop + 1
    assert_near(mel_TF, golden["mel_inference"])


def test_level(golden: dict[str, torch.Tensor]):
    torch.testing.assert_close(peak_half(golden["waveform"][None])[0], golden["normalized_waveform"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("array", ["mel_training", "mel_inference"])
def test_a_corrupted_folder_fails(array: str, tmp_path: Path):
    form = array.removeprefix("mel_")
    changed = golden_arrays(
        corrupted(golden_folders("mel")[0], tmp_path, file="mel.npz", array=array, by=0.05) / "mel.npz"
    )
    with pytest.raises(AssertionError):
        assert_near(log_mel(changed["waveform"][None], PAPER, form=form)[0], changed[array])


def test_waveform_is_cut_before_the_transform_and_not_after(golden: dict[str, torch.Tensor]):
    mel_TF = log_mel(golden["waveform"][None, : PAPER.samples], PAPER)[0]
    assert_near(mel_TF, golden["mel_training_first64000"])
    assert len(mel_TF) == PAPER.mel_frames


def test_filter_bank(golden: dict[str, torch.Tensor]):
    torch.testing.assert_close(mel_basis(PAPER).T, golden["mel_basis"], rtol=0, atol=1e-6)


def test_the_forms_are_not_interchangeable(golden: dict[str, torch.Tensor]):
    mel_TF = log_mel(golden["waveform"][None], PAPER)[0]
    assert (mel_TF - golden["mel_inference"].T[: len(mel_TF)]).abs().mean() > 1000 * MEAN_ABS
