"""Inception scores and KL divergences against the values of public codes (golden/is_kl_seed*/README.md)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_data import golden_folders

from uniform_core.metrics.divergence import inception_scores, kl_divergences

FOLDERS = golden_folders("is_kl")
EPS = 1e-6  # audioldm_eval and SpecVQGAN


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    arrays = np.load(folder / "logits.npz")
    return arrays["gen"], arrays["ref"], json.loads((folder / "expected.json").read_text())


def kl(generated: np.ndarray, reference: np.ndarray, activation: str, eps: float) -> float:
    return float(kl_divergences(generated, reference, activation=activation, eps=eps).mean())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_kl_of_public_codes(folder: Path, activation: str):
    generated, reference, expected = load(folder)
    with_eps = kl(generated, reference, activation, EPS)
    key = f"kullback_leibler_divergence_{activation}"
    assert with_eps == pytest.approx(expected["kl_audioldm_eval_float64"][key], rel=1e-9)
    assert with_eps == pytest.approx(expected["kl_audioldm_eval_float32"][key], rel=1e-6)
    without = kl(generated, reference, activation, 0.0)
    assert without == pytest.approx(expected["kl_av_benchmark"][f"kl_{activation}"], rel=1e-6)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_kl_of_specvqgan_and_the_exact_one(folder: Path):
    generated, reference, expected = load(folder)
    specvqgan = expected["kl_specvqgan"]["kullback_leibler_divergence"]
    assert kl(generated, reference, "softmax", EPS) == pytest.approx(specvqgan, rel=1e-6)
    exact = expected["crosscheck_kl_softmax_no_eps"]
    assert kl(generated, reference, "softmax", 0.0) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
@pytest.mark.parametrize(
    ("code", "side", "splits", "seed"),
    [
        ("isc_audioldm_eval_gen_splits10_shuffle_seed2020", "gen", 10, 2020),
        ("isc_audioldm_eval_gen_splits1_noshuffle", "gen", 1, None),
        ("isc_audioldm_eval_ref_splits10_shuffle_seed2020", "ref", 10, 2020),
    ],
)
def test_inception_score_of_audioldm_eval(folder: Path, code: str, side: str, splits: int, seed: int | None):
    generated, reference, expected = load(folder)
    scores = inception_scores(generated if side == "gen" else reference, splits=splits, seed=seed)
    assert scores.mean() == pytest.approx(expected[code]["inception_score_mean"], rel=1e-9)
    assert scores.std() == pytest.approx(expected[code]["inception_score_std"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_inception_score_of_the_video_codes(folder: Path):
    generated, _, expected = load(folder)
    logits = generated[:, :101]
    mm_diffusion = inception_scores(logits, splits=1, seed=None, eps=1e-7).mean()
    assert mm_diffusion == pytest.approx(expected["video_is_mmdiffusion_calc_inception_first101classes"], rel=1e-9)
    stylegan_v = inception_scores(logits, splits=10, seed=42)
    told = expected["video_is_styleganv_isv_splits10_seed42_first101classes"]
    assert stylegan_v.mean() == pytest.approx(told["mean"], rel=1e-9)
    assert stylegan_v.std() == pytest.approx(told["std"], rel=1e-9)


def test_golden_data_is_there():
    assert FOLDERS
