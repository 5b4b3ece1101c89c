"""Official lists over HTTP: fetched once, pinned at first sight, and held against that ever after."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from index_files import SEQUENCES, filmed
from weights_server import Served, WeightsServer, running

from uniform_core.datasets import AistppConfig, VGGSoundConfig, official
from uniform_core.datasets.official import AISTPP_LISTS, VGGSOUND, VGGSOUND_LISTS
from uniform_core.download import Patience
from uniform_core.errors import ConfigError, ServiceError, UniformError
from uniform_core.fetching.indexes import IndexFile, ensure_index, pinned_path
from uniform_core.fingerprint import bytes_sha256
from uniform_core.pinned import PINS, read_pins
from uniform_core.progress import ProgressEvent
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=4.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
HURRY = Patience(silence_s=5.0, tries=2, pause_s=0.0)
LIST = b"plainPlain1,1,raining,train\n"
BY_HAND = r"--set data\.index=PATH"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeightsServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running() as started:
        started.files["/list.csv"] = Served(LIST, kind="text/csv")
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "indexes" / "made-up"


def listed(server: WeightsServer, name: str = "list.csv", **more: object) -> IndexFile:
    return replace(IndexFile(name, server.url(f"/{name}"), "a made-up list"), **more)


def ensure(file: IndexFile, folder: Path) -> None:
    ensure_index([file], folder, dataset="made-up", patience=HURRY)


def refusal(file: IndexFile, folder: Path, kind: type[UniformError] = ServiceError) -> str:
    with pytest.raises(kind) as error:
        ensure(file, folder)
    assert not (folder / file.name).exists()
    assert file.name not in read_pins(folder)
    return str(error.value)


def test_a_list_comes_once_and_is_pinned(server: WeightsServer, folder: Path):
    events: list[ProgressEvent] = []
    ensure_index([listed(server)], folder, dataset="made-up", on_progress=events.append, patience=HURRY)
    assert pinned_path(listed(server), folder, dataset="made-up").read_bytes() == LIST
    assert json.loads((folder / PINS).read_text()) == {
        "list.csv": {"sha256": bytes_sha256(LIST), "size_bytes": len(LIST)}
    }
    assert [(event.stage, event.note) for event in events] == [("index of made-up", "list.csv")]
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"list.csv", PINS, "lock"}
    server.asked.clear()
    ensure(listed(server), folder)
    assert server.asked == []


def test_a_list_that_was_put_there_by_hand_is_pinned_as_it_is(server: WeightsServer, folder: Path):
    folder.mkdir(parents=True)
    (folder / "list.csv").write_bytes(b"mine")
    ensure(listed(server), folder)
    assert read_pins(folder)["list.csv"].sha256 == bytes_sha256(b"mine")
    assert server.asked == []


def test_a_list_that_changed_here_is_not_read(server: WeightsServer, folder: Path):
    ensure(listed(server), folder)
    (folder / "list.csv").write_bytes(LIST + b"more\n")
    for use in (lambda: pinned_path(listed(server), folder, dataset="made-up"), lambda: ensure(listed(server), folder)):
        with pytest.raises(
            ConfigError, match=rf"expected sha256 {bytes_sha256(LIST)}, as when it first came.*Remove it"
        ):
            use()
    (folder / "list.csv").unlink()
    ensure(listed(server), folder)
    assert (folder / "list.csv").read_bytes() == LIST


def test_a_list_that_changed_at_its_place_is_not_taken_until_its_pin_is_removed(server: WeightsServer, folder: Path):
    ensure(listed(server), folder)
    (folder / "list.csv").unlink()
    server.files["/list.csv"] = Served(b"another,2,raining,train\n", etag='"two"')
    with pytest.raises(ServiceError) as error:
        ensure(listed(server), folder)
    said = str(error.value)
    assert "has changed at its place" in said
    assert f"remove its entry in {folder / PINS}" in said
    assert "--set data.index=PATH" in said
    assert not (folder / "list.csv").exists()
    (folder / PINS).write_text("{}")
    ensure(listed(server), folder)
    assert (folder / "list.csv").read_bytes().startswith(b"another")


def test_without_a_network_the_error_names_the_list_its_place_and_what_to_do(folder: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/list.csv"
        said = refusal(IndexFile("list.csv", url, "a made-up list"), folder)
    assert f"index of made-up: list.csv ({url}): expected the whole file; found no answer" in said
    assert "Get it by hand, and name it with --set data.index=PATH." in said


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (Served(b"", status=404), "404"),
        (Served(b"", status=403), "403"),
        (Served(b"<!DOCTYPE html><p>sign in"), "a web page"),
        (Served(LIST, kind="text/html"), "a web page"),
        (Served(b""), "an empty file"),
        (Served(b"a" * 200), "expected at most 100 bytes; found 200"),
        (Served(LIST, length=10**11), "expected at most 100 bytes; found 100,000,000,000"),
        (Served(LIST, cuts=[5, 0, 0, 0]), "closed at byte"),
    ],
)
def test_what_is_no_list_is_refused(served: Served, words: str, server: WeightsServer, folder: Path):
    server.files["/list.csv"] = served
    said = refusal(listed(server, most_bytes=100), folder)
    assert words in said
    assert "--set data.index=PATH" in said


def test_a_list_without_an_address_says_where_it_is_to_be_had(folder: Path):
    said = refusal(official.AISTPP_IGNORED, folder, ConfigError)
    assert "expected ignore_list.txt (sequences of AIST++" in said
    assert "It is in fullset.zip" in said
    assert "--set data.index=PATH" in said


def zipped(members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_lists_in_one_archive_come_with_one_request_by_their_names(server: WeightsServer, folder: Path):
    names = [f"crossmodal_{split}.txt" for split in SEQUENCES]
    members = {f"aist_plusplus_final/splits/{name}": name.encode() for name in names}
    members |= {f"__MACOSX/splits/{name}": b"fork" for name in names} | {"../../evil": b"x"}
    server.files["/splits.zip"] = Served(zipped(members))
    files = [listed(server, name, url=server.url("/splits.zip"), is_zipped=True) for name in names]
    ensure_index(files, folder, dataset="made-up", patience=HURRY)
    assert [(folder / name).read_text() for name in names] == names
    assert len(server.asked) == 1
    assert {path.name for path in folder.parent.parent.rglob("*") if path.is_file()} == {*names, PINS, "lock"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zipped({"other.txt": b"x"}), "0 of them"),
        (zipped({"a/list.csv": b"x", "b/list.csv": b"y"}), "2 of them"),
        (b"PK\x03\x04 not a zip", "a damaged archive"),
        (zipped({"list.csv": LIST})[:-30], "a damaged archive"),
        (zipped({"list.csv": LIST}, method=zipfile.ZIP_STORED).replace(LIST, LIST.upper()), "a damaged archive"),
        (zipped({"list.csv": b"0" * (20 << 20)}), "one of more than 1,000,000 bytes"),
    ],
    ids=["none", "two", "no zip", "cut", "flipped", "bomb"],
)
def test_an_archive_without_the_list_is_refused_and_goes(data: bytes, words: str, server: WeightsServer, folder: Path):
    server.files["/splits.zip"] = Served(data)
    said = refusal(listed(server, url=server.url("/splits.zip"), is_zipped=True, most_bytes=1_000_000), folder)
    assert words in said
    assert "expected a ZIP with one list.csv" in said
    assert not (folder / ".partial" / "splits.zip").exists()


def test_a_dataset_is_ready_after_it_was_prepared_and_says_so_before(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    monkeypatch.setitem(VGGSOUND_LISTS, "whole", {"": replace(VGGSOUND, url=server.url("/list.csv"))})
    config = VGGSoundConfig()
    with pytest.raises(ConfigError, match=rf"vggsound\.csv .*nothing there\. Run `uniform ingest vggsound`.*{BY_HAND}"):
        next(config.items(SPEC))
    assert server.asked == [], "listing asks nobody"
    config.prepare()
    (item,) = config.items(SPEC)
    assert (tmp_path / "indexes" / "vggsound" / "vggsound.csv").read_bytes() == LIST
    assert config.index_sha256(item) == bytes_sha256(LIST)
    (tmp_path / "indexes" / "vggsound" / "vggsound.csv").write_bytes(b"")
    with pytest.raises(ConfigError, match="as when it first came"):
        next(config.items(SPEC))
    with pytest.raises(ConfigError, match=r"nowhere: expected vggsound\.csv .*; found nothing there"):
        VGGSoundConfig(index=tmp_path / "nowhere").prepare()


def test_a_companion_is_fetched_with_the_lists(server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path))
    (sequence,) = SEQUENCES["test"]
    server.files["/splits.zip"] = Served(zipped({"splits/crossmodal_test.txt": sequence.encode()}))
    server.files["/video_list.txt"] = Served("\n".join(filmed(sequence)).encode())
    test = replace(AISTPP_LISTS["test"], url=server.url("/splits.zip"))
    monkeypatch.setitem(AISTPP_LISTS, "test", test)
    videos = replace(official.AISTPP_VIDEOS, url=server.url("/video_list.txt"))
    monkeypatch.setattr("uniform_core.datasets.aistpp.AISTPP_VIDEOS", videos)
    config = AistppConfig(split="test", accept_terms=True)
    config.prepare()
    assert [item.label for item in config.items(SPEC)] == ["Middle Hip-hop"]


def test_every_official_address_is_https_and_every_published_name_is_plain():
    files = [one for lists in VGGSOUND_LISTS.values() for one in lists.values()]
    files += [*official.AUDIOSET_LISTS.values(), *AISTPP_LISTS.values(), official.LANDSCAPE, official.AISTPP_VIDEOS]
    files += [official.AUDIOSET_LABELS, official.AUDIOSET_STRONG_LABELS, official.AISTPP_IGNORED]
    assert len({file.name for file in files}) == len(files) == 20
    for file in files:
        assert Path(file.name).name == file.name
        assert file.url is None or (
            file.url.startswith("https://") and (file.is_zipped or file.url.endswith(file.name))
        )
        assert file.url is not None or file.note
