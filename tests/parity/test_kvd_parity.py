"""Kernel distances against the values of public codes (tests/parity/golden/kvd_seed*/README.md)."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_data import golden_folders

from uniform_core.metrics.polynomial import polynomial_mmd, subset_mmds

FOLDERS = golden_folders("kvd")
SUBSETS = re.compile(r"\(subsets=(\d+),(?:subset_size|max)=(\d+),(?:seed=|np\.random\.seed\()(\d+)\)")


def cases() -> list:
    found = []
    for folder in FOLDERS:
        for case, codes in json.loads((folder / "expected.json").read_text()).items():
            if not case.startswith("_"):
                found += [pytest.param(folder, case, c, v, id=f"{folder.name}-{case}-{c}") for c, v in codes.items()]
    return found


def sets_of(folder: Path, case: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = np.load(folder / "features.npz")
    generated, reference = arrays["gen"], arrays["ref"]
    if case == "identical":
        return reference, reference.copy()
    if case == "same_distribution":
        return generated[: len(reference)] + (reference.mean(axis=0) - generated.mean(axis=0)), reference
    return generated, reference


def value_of(code: str, generated: np.ndarray, reference: np.ndarray) -> tuple[float, float | None]:
    """Mean and spread in our arithmetic, with the parameters that the code's name tells."""
    drawn = SUBSETS.search(code)
    if drawn is None:
        full = re.search(r"kernel_mmd_full_(\d+)$", code)
        count = int(full[1]) if full else None
        return polynomial_mmd(generated[:count], reference[:count]), None
    subsets, size, seed = (int(group) for group in drawn.groups())
    size = min(size, len(generated), len(reference))
    draws = subset_mmds(generated, reference, subsets=subsets, size=size, seed=seed)
    scale = 1000.0 if "x1000" in code else 1.0
    return scale * float(draws.mean()), float(draws.std())


def numbers_of(expected: Any) -> tuple[float, float | None]:
    if isinstance(expected, dict):
        mean, std = (next(v for k, v in expected.items() if k.endswith(end)) for end in ("mean", "std"))
        return mean, std
    return expected, None


@pytest.mark.parametrize(("folder", "case", "code", "expected"), cases())
def test_kernel_distance_of_public_codes(folder: Path, case: str, code: str, expected: Any):
    mean, std = numbers_of(expected)
    value, spread = value_of(code, *sets_of(folder, case))
    # Codes that ran in float32 keep about six digits of a small difference of large sums.
    tolerance = 2e-5 if "float32" in code else 1e-6
    assert value == pytest.approx(mean, rel=tolerance)
    if std is not None:
        assert spread == pytest.approx(std, rel=tolerance)


def test_golden_data_is_there():
    assert FOLDERS
    assert len(cases()) >= 3 * 7
