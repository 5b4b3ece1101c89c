"""When lost clips are looked for in a copy: where it is new to a run's sources, or has changed, and once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.fetch_copies import COPIES, CopiesAsked
from uniform_core.datasets import AudioSetConfig
from uniform_core.errors import StorageError
from uniform_core.fetching.sources import FolderSource, SourceConfig, TarSource, YoutubeSource

NAME = "audioset"


def dataset(*sources: SourceConfig, split: str = "eval") -> AudioSetConfig:
    return AudioSetConfig(split=split, sources=(*sources, YoutubeSource()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / COPIES


@pytest.fixture
def folder(tmp_path: Path) -> FolderSource:
    place = tmp_path / "copies"
    place.mkdir()
    os.utime(place, ns=(1, 1))
    return FolderSource(path=place)


def look(path: Path, *datasets: AudioSetConfig) -> set[str]:
    """What is due in a run of these datasets, which then looks for it."""
    asked = CopiesAsked(path, datasets)
    due = asked.due
    if due:
        asked.done(due)
    return due


def test_a_copy_that_the_config_gains_is_due_once(path: Path, folder: FolderSource) -> None:
    assert look(path, dataset()) == set()
    assert [look(path, dataset(folder)) for _ in range(2)] == [{NAME}, set()]
    assert look(path, dataset(folder, split="train")) == {NAME}, "another list"
    assert look(path, dataset(folder)) == set()
    tar = TarSource(paths=(folder.path / "more.tar",))
    assert [look(path, dataset(folder, tar)) for _ in range(2)] == [{NAME}, set()]


def test_a_copy_that_has_changed_is_due_again(path: Path, folder: FolderSource) -> None:
    look(path, dataset(folder))
    (folder.path / "new.mp4").write_bytes(b"x")
    assert [look(path, dataset(folder)) for _ in range(2)] == [{NAME}, set()]


def test_what_a_run_without_the_copy_lost_is_looked_for_in_it_later(path: Path, folder: FolderSource) -> None:
    look(path, dataset(folder))
    look(path, dataset())
    assert look(path, dataset(folder)) == {NAME}


def test_a_look_that_was_cut_short_is_due_again_and_other_datasets_are_left_alone(
    path: Path, folder: FolderSource
) -> None:
    assert CopiesAsked(path, [dataset(folder)]).due == {NAME}
    assert look(path, dataset(folder)) == {NAME}
    CopiesAsked(path, [])
    assert look(path, dataset(folder)) == set()


def test_a_damaged_file_says_so(path: Path, folder: FolderSource) -> None:
    path.write_text("[]")
    with pytest.raises(StorageError, match="Remove the file: copies are then asked again, which costs no request"):
        CopiesAsked(path, [dataset(folder)])
