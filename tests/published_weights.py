"""Weights made by the golden rule, written as the published files of evaluation's nets have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden_data import COPY, golden_json, rule_state
from torch import Tensor

from uniform_core.metrics.published import cnn14, i3d, vggish

SPECS = COPY / "specs"


def spec_table(spec: str) -> dict[str, Any]:
    """One of `golden/specs`: shape and dtype of each name."""
    table: dict[str, Any] = golden_json(SPECS / f"{spec}.json")
    return table


def made_state(spec: str, seed: int) -> dict[str, Tensor]:
    """The tensors of one of `golden/specs`, by the rule."""
    return rule_state(spec_table(spec), seed)


def write_vggish(folder: Path, seed: int = 0) -> Path:
    """VGGish as its release has it: 18 tensors at the top."""
    return _saved(made_state("vggish", seed), folder / vggish.FILE)


def write_vggish_pca(folder: Path, seed: int = 0) -> Path:
    """Its PCA as its release has it: arrays of NumPy in float64, means of one axis."""
    made = made_state("vggish_pca", seed)
    arrays = {name.removeprefix("pproc."): tensor.double().numpy() for name, tensor in made.items()}
    return _saved(arrays | {"pca_means": arrays["pca_means"][:, 0]}, folder / vggish.PCA_FILE)


def write_cnn14(folder: Path, seed: int = 0, *, has_front_end: bool = True) -> Path:
    """Cnn14 as its record has it: 84 tensors under `model`, and beside them arrays that are no weights."""
    state = (cnn14.front_end() if has_front_end else {}) | made_state("cnn14_16k_rule", seed)
    checkpoint = {"iteration": 800_000, "model": state, "sampler": {"pointer": np.arange(4), "indexes": [1, 2]}}
    return _saved(checkpoint, folder / cnn14.FILE)


def write_i3d(folder: Path, seed: int = 0) -> Path:
    """I3D-400 as MM-Diffusion's and TATS's file has it: 344 tensors at the top."""
    return _saved(made_state("i3d_400", seed), folder / i3d.FILE)


def _saved(value: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return path
