"""One wrong number in any array of a copy of the golden folders of reductions makes a parity test fail."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import test_avalign_parity as avalign
import test_frechet_parity as frechet
import test_is_kl_parity as is_kl
import test_kvd_parity as kvd
import test_onset_parity as onset
from golden_data import Arrays, altered, golden_folders, numpy_arrays

FILES = {"frechet": "features.npz", "kvd": "features.npz", "is_kl": "logits.npz", "avalign": "clips.npz"}
FOLDERS = {name: golden_folders(name)[0] for name in FILES}
UNREAD = {"file_order_of_gen_in_kl"}  # the order in which the reference was handed clips; pairs are by name


def of_frechet(folder: Path, array: str) -> None:
    case = array.rpartition("_")[0]
    for path in sorted(folder.glob("expected*.json")):
        for code, expected in json.loads(path.read_text())[case].items():
            frechet.test_frechet_of_public_codes(path, case, code, expected)


def of_kvd(folder: Path, array: str) -> None:
    for case, codes in json.loads((folder / "expected.json").read_text()).items():
        for code, expected in {} if case.startswith("_") else codes.items():
            kvd.test_kernel_distance_of_public_codes(folder, case, code, expected)


def of_is_kl(folder: Path, array: str) -> None:
    is_kl.test_kl_of_public_codes(folder, "softmax")
    is_kl.test_kl_of_specvqgan_and_the_exact_one(folder)


def of_avalign(folder: Path, array: str) -> None:
    case = max((case for case in avalign.expected(folder) if array.startswith(f"{case}_")), key=len)
    if "_audio_" in array:
        avalign.test_resampling_to_the_onset_rate(folder)
        onset.test_the_envelopes_that_av_align_stands_on(folder)
    if "_onset_env_" in array:
        onset.test_the_envelopes_that_av_align_stands_on(folder)
    for code in avalign.NAMES:
        avalign.test_clips_under_each_rule(folder, case, code)


CHECKS: dict[str, Callable[[Path, str], None]] = {
    "frechet": of_frechet,
    "kvd": of_kvd,
    "is_kl": of_is_kl,
    "avalign": of_avalign,
}
ARRAYS = [
    (name, array) for name, file in FILES.items() for array in numpy_arrays(FOLDERS[name] / file) if array not in UNREAD
]


@pytest.mark.parametrize("name", CHECKS)
def test_a_copy_passes(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDERS[name], tmp_path / FOLDERS[name].name))
    CHECKS[name](folder, next(array for of, array in ARRAYS if of == name))


@pytest.mark.parametrize(("name", "array"), ARRAYS)
def test_one_wrong_number_is_found(name: str, array: str, tmp_path: Path) -> None:
    def wrong(arrays: Arrays) -> Arrays:
        """A value in the middle is another; a pixel by so much that a grey picture shows it."""
        values, middle = arrays[array], arrays[array].size // 2
        if values.dtype.kind == "u":
            middle += 1 - middle % 3  # its green
            values.flat[middle] = (int(values.flat[middle]) + 128) % 256
        else:
            values.flat[middle] += 0.5 * (1 + abs(values.flat[middle]))
        return arrays

    folder = altered(FOLDERS[name], tmp_path, **{FILES[name].removesuffix(".npz"): wrong})
    with pytest.raises(AssertionError):
        CHECKS[name](folder, array)
