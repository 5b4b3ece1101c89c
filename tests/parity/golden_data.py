"""Golden folders: inputs and outputs of public reference implementations, and the rule that makes their weights.

`UNIFORM_GOLDEN_DIR` names another directory of `<name>_seed*` folders, of any lengths. A family that it lacks runs over
the copy's folders, so nothing is skipped; the rule, the tables of names and the pairs of captions are the copy's.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

COPY = Path(__file__).parent / "golden"
Arrays = dict[str, np.ndarray]


def golden_folders(name: str) -> list[Path]:
    """Every `<name>_seed*` folder of the directory, in order of name; the copy's where it has none of this name.

    Raises FileNotFoundError where the directory has no folder of any name: a mistyped path must not pass for the copy.
    """
    root = Path(os.environ.get("UNIFORM_GOLDEN_DIR") or COPY)
    if not _folders(root, "*"):
        raise FileNotFoundError(
            f"golden data: expected folders <name>_seed* in {root}; found none. Name their directory in "
            "UNIFORM_GOLDEN_DIR, or unset it for the copy in tests/parity/golden."
        )
    found = _folders(root, name) or _folders(COPY, name)
    if not found:
        raise FileNotFoundError(f"golden data {name}: expected folders {name}_seed* in {root} or {COPY}; found none.")
    return found


def golden_json(path: Path) -> Any:
    """The value of a JSON file."""
    return json.loads(path.read_text())


def golden_arrays(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of an .npz file as tensors, by name."""
    return {name: torch.from_numpy(value) for name, value in numpy_arrays(path).items()}


def numpy_arrays(path: Path) -> Arrays:
    """The arrays of an .npz file, by name."""
    with np.load(path) as arrays:
        return {name: np.array(arrays[name]) for name in arrays.files}


def golden_table(folder: Path, file: str = "spec.json") -> Any:
    """The copy's table of names for a folder; its own where it has one of a model of another size.

    Between tables of one size the copy's counts, whatever else a folder's may say.
    """
    family, _, _ = folder.name.rpartition("_seed")
    kept = golden_json(COPY / f"{family}_seed0" / file)
    own = golden_json(folder / file) if (folder / file).is_file() else kept
    return kept if _sizes(own) == _sizes(kept) else own


def golden_state(folder: Path, spec: str = "spec.json") -> dict[str, torch.Tensor]:
    """The weights that a folder's numbers were made with, by the rule."""
    return rule_state(golden_table(folder, spec), golden_seed(folder))


def rule_state(table: Any, seed: int) -> dict[str, torch.Tensor]:
    """Weights by the rule, of a table of names and shapes."""
    return {name: torch.from_numpy(value) for name, value in _rule().make_state(table, seed).items()}


def golden_seed(folder: Path) -> int:
    """The seed that a folder's config says, else that of its name."""
    config = golden_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    return int(config.get("seed", folder.name.rpartition("_seed")[2]))


def altered(folder: Path, into: Path, **changes: Callable[[Arrays], Arrays]) -> Path:
    """A copy of a folder, of the same name, in which .npz files (by their stems) have other arrays."""
    made = Path(shutil.copytree(folder, into / folder.name))
    for stem, change in changes.items():
        path = made / f"{stem}.npz"
        np.savez(path, **change(numpy_arrays(path)))
    return made


def corrupted(folder: Path, into: Path, *, file: str, array: str, by: float, at: int = 0) -> Path:
    """A copy of a folder in which one value of one array, the first or that at `at`, is another.

    `by`: a share of 1 + its size.
    """

    def wrong(arrays: Arrays) -> Arrays:
        value = arrays[array].flat[at]
        arrays[array].flat[at] += 1 if arrays[array].dtype.kind in "biu" else by * (1 + abs(value))
        return arrays

    return altered(folder, into, **{file.removesuffix(".npz"): wrong})


def _folders(root: Path, name: str) -> list[Path]:
    return sorted(path for path in root.glob(f"{name}_seed*") if path.is_dir())


def _sizes(table: dict[str, Any]) -> dict[str, Any]:
    """The names of a table, with their shapes where it has shapes."""
    return {name: entry["shape"] if isinstance(entry, dict) else None for name, entry in table.items()}


def _rule() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_weights", COPY / "golden_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
