"""Fréchet distances against the values of public codes (tests/parity/golden/frechet_seed*/README.md)."""

import json
from pathlib import Path

import numpy as np
import pytest
from golden_data import golden_folders

from uniform_core.metrics.gaussian import frechet_from_features, frechet_from_moments
from uniform_core.metrics.moments import Moments

FOLDERS = golden_folders("frechet")
FLOAT32_CODES = {"mm_diffusion.frechet_distance", "cdfvd.i3d.frechet_distance"}


def ddof_of(code: str) -> int:
    return 0 if code.startswith("stylegan_v") or code.endswith("ddof0") else 1


def tolerance(code: str, case: str) -> dict[str, float]:
    """1e-6 against float64 codes; the README's 2e-3 (absolute 1e-2 where roots of zero matter) against float32 ones."""
    if code in FLOAT32_CODES:
        return {"rel": 2e-3, "abs": 1e-2 if case in {"same", "dead"} else 0.0}
    return {"rel": 1e-6, "abs": 1e-8}


def cases() -> list:
    found = []
    for folder in FOLDERS:
        for path in sorted(folder.glob("expected*.json")):
            for case, codes in json.loads(path.read_text()).items():
                if case.startswith("_"):
                    continue
                found += [pytest.param(path, case, c, v, id=f"{path.stem}-{case}-{c}") for c, v in codes.items()]
    return found


@pytest.mark.parametrize(("path", "case", "code", "expected"), cases())
def test_frechet_of_public_codes(path: Path, case: str, code: str, expected: float):
    features = np.load(path.parent / "features.npz")
    generated, reference = features[f"{case}_gen"], features[f"{case}_ref"]
    value = frechet_from_features(generated, reference, ddof=ddof_of(code))
    assert value == pytest.approx(expected, **tolerance(code, case))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_moments_route_agrees_where_items_are_few(folder: Path):
    """The eigenvalue route with its fallback, and the nuclear-norm form, on the same deficient set."""
    features = np.load(folder / "features.npz")
    generated, reference = features["deficient_gen"], features["deficient_ref"]
    assert len(generated) < generated.shape[1]
    by_moments = frechet_from_moments(Moments.of(generated), Moments.of(reference))
    assert by_moments == pytest.approx(frechet_from_features(generated, reference), rel=1e-6)


def test_golden_data_is_there():
    assert FOLDERS
    assert len(cases()) >= 5 * 7
