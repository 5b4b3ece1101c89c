"""The parity tests of IDDPM compare every array of a golden folder: one wrong number in any of them makes one fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import test_iddpm_parity as parity
from golden_data import golden_folders

FOLDER = golden_folders("iddpm")[0]


def checks(folder: Path) -> Iterator[Callable[[], None]]:
    """The parity tests on one folder, the quick ones first."""
    for check in (parity.test_tables, parity.test_timestep_maps, parity.test_min_snr_weights):
        yield lambda check=check: check(folder)
    yield lambda: parity.test_the_bound_alone_and_its_weight(folder)
    for case in parity.CASES:
        yield lambda case=case: parity.test_losses_with_their_tables(folder, case)
    for check in (
        parity.test_forward_process,
        parity.test_posterior,
        parity.test_what_the_bound_reads_as_clean,
        parity.test_ancestral_trajectory,
        parity.test_text_guidance,
        parity.test_ddim,
    ):
        yield lambda check=check: check(folder, "theirs")


def fails(folder: Path) -> bool:
    for check in checks(folder):
        try:
            check()
        except AssertionError:
            return True
    return False


def test_a_copy_passes(tmp_path: Path) -> None:
    assert not fails(Path(shutil.copytree(FOLDER, tmp_path / "iddpm_seed0")))


@pytest.mark.parametrize("name", sorted(np.load(FOLDER / "outputs.npz").files))
def test_one_wrong_number_is_found(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "iddpm_seed0"))
    with np.load(FOLDER / "outputs.npz") as kept:
        values = dict(kept)
    wrong = values[name].copy()
    wrong.flat[0] += 1 if wrong.dtype.kind == "i" else 0.01 * (1 + abs(wrong.flat[0]))
    np.savez(folder / "outputs.npz", **{**values, name: wrong})
    assert fails(folder)
