"""What every source of media promises. A new member is tested the moment `uniform_core.fetching.sources` imports it.

Each has its own way of having a clip, which `PLACES` makes; a member without one fails here.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fetch_doubles import ID, NotingGate, files_outside, means, wanted
from pydantic import TypeAdapter, ValidationError
from standin_host import Reply, StandinHost, running

from uniform_core.errors import ConfigError
from uniform_core.fetching import sources
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.entries import is_text
from uniform_core.fetching.outcome import Absent, Deferred, Failed, Found, FoundVideo
from uniform_core.fetching.sources import Means, Source, SourceConfig, YoutubeSource
from uniform_core.fetching.sources.youtube import OpenYoutube
from uniform_core.fetching.wanted import WantedVideo
from uniform_core.fetching.ytdlp.process import Looked
from uniform_core.fetching.ytdlp.tools import Tools
from uniform_core.fingerprint import canonical_json

MEDIA = b"media" * 1000
NAME = f"{ID}_000030"
EMPTY = f"{ID}_000040"  # a copy that has nothing in it
ODD = os.fsdecode(b"de\xffp")  # a name that is no UTF-8, which disks of others have
HOSTILE = ("../../etc/passwd", "/etc/passwd", "-rf", "a b", "$(id)", "a\nb", "é" * 50, "x" * 300, "", "nul\0")


class OneVideo:
    """yt-dlp that knows one video, and nothing else."""

    def look(self, url: str, options: Mapping[str, Any]) -> Looked | Failed:
        if url.endswith(ID):
            return Looked(True, False, 60.0, "https://media.example/v", "18")
        return Failed(FailureClass.DEAD, "Video unavailable")

    def get(
        self, url: str, options: Mapping[str, Any], folder: Path, section: tuple[float, float] | None
    ) -> Path | Failed:
        path = folder / "got.mp4"
        path.write_bytes(MEDIA)
        return path

    def close(self) -> None:
        """Nothing runs."""


@dataclass
class Place:
    """A source that has the clip `NAME`, and whether it asks a host for it."""

    config: SourceConfig
    open: Callable[[Means], Source]
    is_remote: bool


def folder_place(root: Path, host: StandinHost) -> Place:
    (root / "copies" / ODD).mkdir(parents=True)
    (root / "copies" / ODD / f"{NAME}.mp4").write_bytes(MEDIA)
    (root / "copies" / ODD / f"{EMPTY}.mp4").touch()
    config = sources.FolderSource(path=root / "copies")
    return Place(config, config.open, is_remote=False)


def tar_place(root: Path, host: StandinHost) -> Place:
    (root / "copies").mkdir(parents=True)
    with tarfile.open(root / "copies" / f"{ODD}.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo(f"deep/{NAME}.mp4")
        info.size = len(MEDIA)
        tar.addfile(info, io.BytesIO(MEDIA))
        tar.addfile(tarfile.TarInfo(f"deep/{EMPTY}.mp4"))
    config = sources.TarSource(paths=(root / "copies",))
    return Place(config, config.open, is_remote=False)


def http_place(root: Path, host: StandinHost) -> Place:
    host.put(f"/{ID}.mp4", Reply(MEDIA))
    config = sources.HttpSource(url=host.url("/{video_id}.mp4"))
    return Place(config, config.open, is_remote=True)


def youtube_place(root: Path, host: StandinHost) -> Place:
    config = YoutubeSource()
    tools = Tools(Path("deno"), Path("ffmpeg"))
    return Place(config, lambda given: OpenYoutube(config, given, tools, OneVideo()), is_remote=True)


PLACES = {"folder": folder_place, "tar": tar_place, "http": http_place, "youtube": youtube_place}


@pytest.fixture(scope="module")
def host() -> Iterator[StandinHost]:
    with running() as started:
        yield started


@pytest.fixture(params=sources.MEMBERS, ids=lambda member: member.model_fields["kind"].default)
def place(request: pytest.FixtureRequest, tmp_path: Path, host: StandinHost, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return PLACES[request.param.model_fields["kind"].default](tmp_path / "place", host)


def test_config_survives_json_and_the_union_tells_it_apart(place: Place) -> None:
    again = TypeAdapter(sources.AnySource).validate_json(place.config.model_dump_json())
    assert type(again) is type(place.config)
    assert again == place.config
    assert type(place.config).example().kind == place.config.kind


def test_unknown_keys_are_refused(place: Place) -> None:
    with pytest.raises(ValidationError, match="no_such_key"):
        type(place.config).model_validate({**place.config.model_dump(), "no_such_key": 1})


def test_the_config_is_json_and_frozen(place: Place) -> None:
    assert canonical_json(place.config.model_dump(mode="json"))
    with pytest.raises(ValidationError):
        place.config.kind = "other"


def test_a_clip_that_is_there_is_found_with_its_bytes_and_where_it_came_from(place: Place, tmp_path: Path) -> None:
    source = place.open(means(tmp_path))
    found = source.fetch(wanted(30))[NAME]
    source.close()
    assert isinstance(found, Found | FoundVideo)
    assert found.path.read_bytes() == MEDIA
    assert found.origin
    assert is_text(found.origin), "any table can hold it"
    if isinstance(found, FoundVideo) or found.is_owned:
        assert found.path.is_relative_to(tmp_path / "scratch")
    else:
        assert found.path.is_relative_to(tmp_path / "place"), "somebody's own copy stays where it is"


def test_there_is_one_outcome_for_each_clip_and_a_second_call_gives_the_same(place: Place, tmp_path: Path) -> None:
    source = place.open(means(tmp_path))
    first, second = source.fetch(wanted(30, 45)), source.fetch(wanted(30, 45))
    assert list(first) == list(second) == [NAME, f"{ID}_000045"]
    assert [type(found) for found in first.values()] == [type(found) for found in second.values()]
    assert source.fetch(WantedVideo("d", ID, ())) == {}


def test_a_clip_that_is_not_there_is_absent_or_failed_and_never_raised(place: Place, tmp_path: Path) -> None:
    source = place.open(means(tmp_path))
    found = source.fetch(wanted(30, video_id="ABCDEFGHIJK"))["ABCDEFGHIJK_000030"]
    assert isinstance(found, Failed if place.is_remote else Absent)


def test_what_is_said_of_a_failure_is_text(place: Place, tmp_path: Path) -> None:
    found = place.open(means(tmp_path)).fetch(wanted(40))[EMPTY]
    assert isinstance(found, FoundVideo if place.is_remote else Failed), "a host has the whole video, and cuts nothing"
    if isinstance(found, Failed):
        assert (found.failure, found.is_final) == (FailureClass.BAD_MEDIA, True), "it is the same in an hour"
        assert "an empty file found" in found.message
        assert is_text(found.message)


@pytest.mark.parametrize("video_id", HOSTILE)
def test_a_hostile_id_names_no_place(video_id: str, place: Place, tmp_path: Path) -> None:
    before = files_outside(tmp_path, [tmp_path / "scratch", tmp_path / "cache"])
    video = wanted(30)
    source = place.open(means(tmp_path))
    found = source.fetch(WantedVideo(video.dataset, video_id, video.clips))[NAME]
    source.close()
    if place.is_remote:
        assert isinstance(found, Absent | Failed)
    assert files_outside(tmp_path, [tmp_path / "scratch", tmp_path / "cache"]) == before


def test_the_gate_is_asked_before_each_request_and_told_after(place: Place, tmp_path: Path) -> None:
    gate = NotingGate()
    place.open(means(tmp_path, gate)).fetch(wanted(30))
    assert bool(gate.asked) == place.is_remote
    assert place.config.is_copy is not place.is_remote, "what asks no host is somebody's own copy"
    assert gate.asked == [host for host, _ in gate.told]


def test_a_closed_host_gives_the_clip_back(place: Place, tmp_path: Path, host: StandinHost) -> None:
    gate = NotingGate(closed={"127.0.0.1", "www.youtube.com"})
    host.asked.clear()
    found = place.open(means(tmp_path, gate)).fetch(wanted(30, 45))
    assert all(isinstance(one, Deferred) == place.is_remote for name, one in found.items() if name == NAME)
    assert (host.asked, gate.told) == ([], [])


def test_opening_asks_no_host_and_a_place_that_is_missing_is_a_config_error(place: Place, tmp_path: Path) -> None:
    gate = NotingGate()
    place.open(means(tmp_path, gate)).close()
    assert gate.asked == []
    if not place.is_remote:
        with pytest.raises(ConfigError, match=r"source .*found "):
            type(place.config).example().open(means(tmp_path))


def test_a_run_without_sources_pays_nothing_for_them() -> None:
    probe = (
        "import sys, uniform_core.fetching.sources; "
        "print([name for name in ('yt_dlp', 'imageio_ffmpeg', 'deno', 'torch', 'ray', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
