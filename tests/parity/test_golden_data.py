"""Any directory of golden folders will do: families that it lacks are the copy's, and no path passes for another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from golden_data import COPY, golden_folders, golden_seed, golden_state, golden_table

STDIT3 = COPY / "stdit3_seed0"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of golden data that has one family, by two seeds, beside what is no folder of a seed."""
    for number in (12, 7):
        shutil.copytree(STDIT3, tmp_path / f"stdit3_seed{number}")
    (tmp_path / "notes").mkdir()
    (tmp_path / "mel_seed3").write_text("a file")
    monkeypatch.setenv("UNIFORM_GOLDEN_DIR", str(tmp_path))
    return tmp_path


def test_all_seeds_of_a_family_are_taken(directory: Path) -> None:
    assert golden_folders("stdit3") == [directory / "stdit3_seed12", directory / "stdit3_seed7"]


def test_a_family_that_a_directory_lacks_is_the_copys(directory: Path) -> None:
    assert golden_folders("mel") == [COPY / "mel_seed0"]


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_directory_the_copy_is_taken(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("UNIFORM_GOLDEN_DIR", raising=False)
    else:
        monkeypatch.setenv("UNIFORM_GOLDEN_DIR", value)
    assert golden_folders("stdit3") == [STDIT3]


def test_a_directory_without_any_folder_is_an_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (directory / "notes", directory / "absent"):
        monkeypatch.setenv("UNIFORM_GOLDEN_DIR", str(wrong))
        with pytest.raises(FileNotFoundError, match=rf"<name>_seed\* in {wrong}; found none. Name their directory"):
            golden_folders("stdit3")


def test_a_family_that_nobody_has_is_an_error(directory: Path) -> None:
    with pytest.raises(FileNotFoundError, match="golden data stdit4: expected folders"):
        golden_folders("stdit4")


def test_the_seed_is_the_configs_and_else_the_names(directory: Path) -> None:
    assert golden_seed(directory / "stdit3_seed12") == 0
    (directory / "stdit3_seed12" / "config.json").unlink()
    assert golden_seed(directory / "stdit3_seed12") == 12


def test_tables_are_the_copys_unless_a_folders_own_is_of_another_size(directory: Path) -> None:
    folder, kept = directory / "stdit3_seed7", json.loads((STDIT3 / "spec.json").read_text())
    path = folder / "spec.json"
    path.unlink()
    assert golden_table(folder) == kept
    path.write_text(json.dumps({name: {**entry, "dtype": "float64"} for name, entry in kept.items()}))
    assert golden_table(folder) == kept, "of the same size: only the copy's counts"
    wider = kept | {"t_block.1.bias": {"shape": [768], "dtype": "float32"}}
    for other in (wider, dict(list(kept.items())[:-1])):
        path.write_text(json.dumps(other))
        assert golden_table(folder) == other
    path.write_text(json.dumps(wider))
    assert golden_state(folder)["t_block.1.bias"].shape == (768,)


def test_weights_are_of_the_seed(directory: Path) -> None:
    folder = directory / "stdit3_seed12"
    state = golden_state(folder)
    assert torch.equal(state["t_block.1.bias"], golden_state(STDIT3)["t_block.1.bias"])
    (folder / "config.json").unlink()
    assert not torch.equal(state["t_block.1.bias"], golden_state(folder)["t_block.1.bias"])


def test_a_map_of_names_is_of_the_folders_own_size(directory: Path) -> None:
    folder = Path(shutil.copytree(COPY / "audio_vae_seed0", directory / "audio_vae_seed5"))
    path = folder / "original_to_diffusers.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(dict.fromkeys(kept, "of the same names")))
    assert golden_table(folder, path.name) == kept
    path.write_text(json.dumps({**kept, "one.more": "name"}))
    assert golden_table(folder, path.name) == {**kept, "one.more": "name"}
