"""Golden folders: inputs and outputs of public reference implementations, and the rule that makes their weights.

`UNIFORM_GOLDEN_DIR` names another directory of `<name>_seed*` folders; tables of names and the rule are the copy's.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

COPY = Path(__file__).parent / "golden"


def golden_folders(name: str) -> list[Path]:
    """Every `<name>_seed*` folder, in order of name; FileNotFoundError where there is none, so nothing is skipped."""
    root = Path(os.environ.get("UNIFORM_GOLDEN_DIR") or COPY)
    folders = sorted(path for path in root.glob(f"{name}_seed*") if path.is_dir())
    if not folders:
        raise FileNotFoundError(f"golden data {name}: expected folders {name}_seed* in {root}; found none.")
    return folders


def golden_json(path: Path) -> Any:
    """The value of a JSON file."""
    return json.loads(path.read_text())


def golden_arrays(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of an .npz file as tensors, by name."""
    with np.load(path) as arrays:
        return {name: torch.from_numpy(np.array(arrays[name])) for name in arrays.files}


def golden_state(name: str, *, seed: int, spec: str = "spec.json") -> dict[str, torch.Tensor]:
    """The weights of a table of names of the copy's `<name>_seed0`, made by the rule for a seed."""
    table = golden_json(COPY / f"{name}_seed0" / spec)
    return {key: torch.from_numpy(value) for key, value in _rule().make_state(table, seed).items()}


def golden_seed(folder: Path) -> int:
    """The seed in the name of a folder."""
    return int(folder.name.rpartition("seed")[2])


def corrupted(folder: Path, into: Path, *, file: str, array: str, by: float) -> Path:
    """A copy of a folder in which the middle value of one array is another: parity with it must fail."""
    shutil.copytree(folder, into / folder.name)
    path = into / folder.name / file
    with np.load(path) as arrays:
        values = {name: np.array(arrays[name]) for name in arrays.files}
    values[array].flat[values[array].size // 2] += by
    np.savez(path, **values)
    return path.parent


def _rule() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_weights", COPY / "golden_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
