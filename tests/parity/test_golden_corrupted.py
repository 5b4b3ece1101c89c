"""Parity compares what it says: one wrong number in any array of a copy of a golden folder makes a test fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from golden_checks import CHECKS, require_parity
from golden_data import corrupted, golden_folders, numpy_arrays

FOLDERS = {name: golden_folders(name)[0] for name in CHECKS}
FILES = {  # else outputs.npz
    "mel": ("mel.npz",),
    "audio_vae": ("io.npz",),
    "hifigan": ("io.npz", "io_plain.npz"),
    **dict.fromkeys(("vggish", "cnn14", "i3d"), ("data.npz",)),
}
BY = {"mel": 0.05}  # else 0.01; the README's tolerance of a log-mel is 0.01
# Sounds that nets hear: at their first sample a Hann window is 0 or nearly so. A click within is heard.
HEARD = {("vggish", "wave"), ("cnn14", "wave"), ("cnn14", "wave_padded_2s")}
CLICK_AT, CLICK = 5_000, 0.5


def arrays() -> list[tuple[str, str, str]]:
    """Every array of every file of results, as (family, file, array)."""
    files = [(name, file) for name in CHECKS for file in FILES.get(name, ("outputs.npz",))]
    return [(name, file, array) for name, file in files for array in numpy_arrays(FOLDERS[name] / file)]


@pytest.mark.parametrize("name", CHECKS)
def test_a_copy_passes(name: str, tmp_path: Path) -> None:
    folder = FOLDERS[name]
    require_parity(name, Path(shutil.copytree(folder, tmp_path / folder.name)), tmp_path / "work")


@pytest.mark.parametrize(("name", "file", "array"), arrays())
def test_one_wrong_number_is_found(name: str, file: str, array: str, tmp_path: Path) -> None:
    at, by = (CLICK_AT, CLICK) if (name, array) in HEARD else (0, BY.get(name, 0.01))
    folder = corrupted(FOLDERS[name], tmp_path, file=file, array=array, by=by, at=at)
    with pytest.raises(AssertionError):
        require_parity(name, folder, tmp_path / "work")
