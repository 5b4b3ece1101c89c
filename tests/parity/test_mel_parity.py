"""Our log-mel against the reference's, on every golden folder."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from golden_data import golden_arrays, golden_folders

from uniform_core.codecs.mel import log_mel, mel_basis
from uniform_core.codecs.sound_form import peak_half
from uniform_core.spec import AVSpec

PAPER = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)
# float32 against float64 of the same computation differs by 3.5e-3 in bins near the floor, 1.1e-5 in the mean.
MAX_ABS, MEAN_ABS = 1e-2, 1e-4
each_folder = pytest.mark.parametrize("folder", golden_folders("mel"), ids=lambda folder: folder.name)


@functools.cache
def golden(folder: Path) -> dict[str, torch.Tensor]:
    return golden_arrays(folder / "mel.npz")


def assert_near(mel_TF: torch.Tensor, expected_FT: torch.Tensor) -> None:
    assert mel_TF.shape == expected_FT.T.shape
    error = (mel_TF - expected_FT.T).abs()
    assert error.max() < MAX_ABS
    assert error.mean() < MEAN_ABS


@each_folder
def test_training_form(folder: Path) -> None:
    waveform = golden(folder)["waveform"]
    mel_TF = log_mel(waveform[None], PAPER)[0]
    assert len(mel_TF) == len(waveform) // PAPER.hop
    assert_near(mel_TF, golden(folder)["mel_training"])


@each_folder
def test_inference_form(folder: Path) -> None:
    waveform = golden(folder)["waveform"]
    mel_TF = log_mel(waveform[None], PAPER, form="inference")[0]
    assert len(mel_TF) == len(waveform) // PAPER.hop + 1
    assert_near(mel_TF, golden(folder)["mel_inference"])


@each_folder
def test_level(folder: Path) -> None:
    leveled = peak_half(golden(folder)["waveform"][None])[0]
    torch.testing.assert_close(leveled, golden(folder)["normalized_waveform"], rtol=0, atol=1e-6)


@each_folder
def test_waveform_is_cut_before_the_transform_and_not_after(folder: Path) -> None:
    arrays = golden(folder)
    cuts = [name for name in arrays if name.startswith("mel_training_first")]
    assert cuts
    for name in cuts:
        cut = arrays["waveform"][: int(name.removeprefix("mel_training_first"))]
        assert_near(log_mel(cut[None], PAPER)[0], arrays[name])


def test_the_papers_clip_has_400_frames() -> None:
    assert log_mel(torch.zeros(1, PAPER.samples), PAPER).shape[1] == PAPER.mel_frames == 400


@each_folder
def test_filter_bank(folder: Path) -> None:
    torch.testing.assert_close(mel_basis(PAPER).T, golden(folder)["mel_basis"], rtol=0, atol=1e-6)


@each_folder
def test_the_forms_are_not_interchangeable(folder: Path) -> None:
    mel_TF = log_mel(golden(folder)["waveform"][None], PAPER)[0]
    assert (mel_TF - golden(folder)["mel_inference"].T[: len(mel_TF)]).abs().mean() > 1000 * MEAN_ABS
