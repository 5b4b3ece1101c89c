"""Parity of the transformer and of the temporal VAE compares what it says: one wrong number in a copy makes it fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import test_stdit3_parity as stdit3
import test_vae_temporal_parity as vae
from golden_data import corrupted, golden_folders

# Of the cases but `base` these are told by what follows from them; `xmask.…` has the reference's own error at its end.
FOLLOWED = ("tokens_in", "pos_embed", "y_packed", "y_lens", "y_proj", "fps_embedder", "t_embedder_t0", "t_block_t0")
WITH_ITS_ERROR = ("xmask.output", "xmask.final_layer_tokens")


def checks_of_stdit3(folder: Path) -> Iterator[Callable[[], None]]:
    for check in (
        stdit3.test_base,
        stdit3.test_without_a_mask_all_caption_tokens_are_read,
        stdit3.test_clean_frames_keep_time_zero,
        stdit3.test_odd_sizes_are_padded_and_cropped,
        stdit3.test_the_unified_width,
        stdit3.test_rope,
        stdit3.test_attention_alone,
    ):
        yield lambda check=check: check(folder)
    for columns, base in ((16, 16), (19, 17)):
        yield lambda columns=columns, base=base: stdit3.test_position_embedding(folder, columns, base)


def checks_of_vae_temporal(folder: Path) -> Iterator[Callable[[], None]]:
    for case in vae.CASES:
        yield lambda case=case: vae.test_posterior_and_decoded(folder, case)
    yield lambda: vae.test_every_recorded_part(folder)
    yield lambda: vae.test_a_clip_of_three_chunks_with_shift_and_scale(folder)


CHECKS = {"stdit3": checks_of_stdit3, "vae_temporal": checks_of_vae_temporal}
FOLDERS = {name: golden_folders(name)[0] for name in CHECKS}


def compared(name: str) -> list[str]:
    """The arrays of a folder that its tests hold ours against."""
    with np.load(FOLDERS[name] / "outputs.npz") as arrays:
        files = list(arrays.files)
    kept = [file for file in files if file.startswith("base.") or file.rpartition(".")[2] not in FOLLOWED]
    unpacked = [file for file in kept if file not in ("base.y_packed", "base.y_lens")]
    return [file for file in unpacked if file not in WITH_ITS_ERROR]


def fails(name: str, folder: Path) -> bool:
    for check in CHECKS[name](folder):
        try:
            check()
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("name", CHECKS)
def test_a_copy_passes(name: str, tmp_path: Path) -> None:
    assert not fails(name, Path(shutil.copytree(FOLDERS[name], tmp_path / "copy_seed0")))


@pytest.mark.parametrize(("name", "array"), [(name, array) for name in CHECKS for array in compared(name)])
def test_one_wrong_number_is_found(name: str, array: str, tmp_path: Path) -> None:
    assert fails(name, corrupted(FOLDERS[name], tmp_path, file="outputs.npz", array=array, by=0.01))
