"""Copies that others made of AudioSet, whose files have the names that their downloaders gave them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from fetch_doubles import means
from fetch_index import short_index

from uniform_core.build import build_run
from uniform_core.corpus.fetching import fetch_candidates
from uniform_core.corpus.inputs import list_items
from uniform_core.fetching.outcome import Absent, Found, Outcome
from uniform_core.fetching.sources import FolderSource, TarSource
from uniform_core.fetching.wanted import WantedVideo

VIDEO, OTHER = "-0abcdefghi", "bbbbbbbbbbb"


@pytest.fixture
def video(tmp_path: Path) -> WantedVideo:
    """A video of which the list has one clip."""
    index = short_index(tmp_path / "lists", [(VIDEO, 30, 40)])
    items = list(index.items(build_run("nano").spec))
    [found] = index.videos(items, alone={items[0].source_id})
    return found


def asked_of_a_folder(root: Path, names: list[str], video: WantedVideo) -> Outcome:
    folder = root / "copies"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(name.encode())
    [outcome] = FolderSource(path=folder).open(means(root)).fetch(video).values()
    return outcome


def asked_of_a_tar(root: Path, names: list[str], video: WantedVideo) -> Outcome:
    with tarfile.open(root / "copies.tar", "w") as tar:
        for name in names:
            member = tarfile.TarInfo(f"deep/down/{name}")
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    [outcome] = TarSource(paths=(root / "copies.tar",)).open(means(root)).fetch(video).values()
    return outcome


NAMES = [
    f"{VIDEO}_30000.mp4",
    f"{VIDEO}_30000_40000.mp4",
    f"{VIDEO}_3000_4000.mkv",
    f"{VIDEO}_30.000_40.000.mp4",
    f"{VIDEO}.mp4",
    f"Y{VIDEO}_30000.mp4",
    f"Y{VIDEO}_30000_40000.mp4",
    f"Y{VIDEO}_30.000_40.000.mp4",
    f"Y{VIDEO}.mp4",
]


@pytest.mark.parametrize("ask", [asked_of_a_folder, asked_of_a_tar])
def test_the_first_name_that_is_there_counts(ask, video: WantedVideo, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for number in range(len(NAMES)):
        root = tmp_path / str(number)
        root.mkdir()
        found = ask(root, NAMES[number:], video)
        assert isinstance(found, Found), NAMES[number]
        assert found.path.read_bytes() == NAMES[number].encode()
        assert NAMES[number] in found.origin


@pytest.mark.parametrize("ask", [asked_of_a_folder, asked_of_a_tar])
def test_a_name_without_the_span_may_be_any_clip_of_its_video(ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    index = short_index(tmp_path / "lists", [(VIDEO, 30, 40), (VIDEO, 50, 60)])
    items = list(index.items(build_run("nano").spec))
    [of_one_clip] = index.videos(items[:1])
    names = [f"{VIDEO}.mp4", f"Y{VIDEO}.mp4", f"{VIDEO}_50000_60000.mp4"]
    assert ask(tmp_path, names, of_one_clip) == Absent()


def test_a_runs_lists_say_which_clips_are_their_videos_only_ones(tmp_path: Path) -> None:
    """Also where the others are no longer to be fetched."""
    index = short_index(tmp_path, [(VIDEO, 30, 40), (OTHER, 0, 10), (VIDEO, 50, 60)], lines="no, line\n")
    config = build_run("nano", data="audioset:eval", overrides=[f"data.index={index.index}"])
    rows = fetch_candidates(config, list_items(config)).to_pylist()
    alone = {row["source_id"]: row["is_alone"] for row in rows if row["video_id"] is not None}
    assert alone == {f"{VIDEO}_30000": False, f"{OTHER}_0": True, f"{VIDEO}_50000": False}
