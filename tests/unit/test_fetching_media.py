"""What fetching makes of files: clips cut from a video, facts that were measured, and failures of the right class."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import media_files
import pytest
from catalog_rows import open_catalog, sha, stamp
from fetch_doubles import ID, NotingGate, wanted
from standin_host import Reply, running

from uniform_core.catalog import Catalog
from uniform_core.catalog.fetch_cache import part_name, purge_cache
from uniform_core.catalog.tables import all_tables
from uniform_core.errors import Rejection
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.cut import cut_clips
from uniform_core.fetching.media_failures import failed_by
from uniform_core.fetching.outcome import Failed, Found, FoundVideo
from uniform_core.fetching.sources import HttpSource, Means
from uniform_core.fetching.validate import Facts, tool_versions, validate
from uniform_core.fetching.wanted import WantedClip
from uniform_core.files import TEMP_PREFIX
from uniform_core.fingerprint import digest
from uniform_core.media import Sandbox
from uniform_core.types import Window


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def facts_of(sandbox: Sandbox, path: Path, wanted_s: float | None = 3.0) -> Facts:
    facts = validate(path, wanted_s=wanted_s, sandbox=sandbox)
    assert isinstance(facts, Facts), facts
    return facts


def test_facts_are_measured_and_are_the_columns_of_downloads(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.mp4", audio_rate=44_100)
    facts = facts_of(sandbox, path)
    assert facts.duration_s == pytest.approx(3.0, abs=0.03)
    assert (facts.frames, facts.video_rate_hz) == (75, pytest.approx(25.0, rel=0.01))
    assert (facts.width_px, facts.height_px, facts.video_codec) == (media_files.WIDTH, media_files.HEIGHT, "h264")
    assert (facts.audio_rate_hz, facts.channels, facts.audio_codec) == (44_100, 2, "aac")
    assert 0.5 < facts.audio_peak < 0.8
    assert facts.audio_rms_db == pytest.approx(-24.4, abs=0.5)
    assert (facts.is_silent, facts.is_still, facts.decode_errors, facts.bytes) == (False, False, 0, path.stat().st_size)
    assert facts.motion > 1.0
    assert set(asdict(facts)) <= set(all_tables()["downloads"].names)


def test_silence_and_stillness_are_facts_and_no_failures(sandbox: Sandbox, tmp_path: Path) -> None:
    facts = facts_of(
        sandbox,
        media_files.write(tmp_path / "a.mkv", container="matroska", audio_codec="flac", silent=True, still=True),
    )
    assert (facts.is_silent, facts.is_still, facts.audio_peak, facts.audio_rms_db) == (True, True, 0.0, None)


def bad_files(folder: Path) -> dict[str, Path]:
    good = media_files.write(folder / "good.mp4")
    data = good.read_bytes()
    files = {
        "no_audio": media_files.write(folder / "mute.mp4", audio_codec=None),
        "no_video": media_files.write(folder / "blind.mp4", video_codec=None),
        "too_short": media_files.write(folder / "short.mp4", duration_s=2.7),
        "too_long": media_files.write(folder / "long.mp4", duration_s=9.0),
        "empty_file": folder / "empty.mp4",
        "not_media": folder / "page.mp4",
        "undecodable": folder / "torn.mp4",
    }
    files["empty_file"].write_bytes(b"")
    files["not_media"].write_text("<!DOCTYPE html><html><body>Sign in to continue</body></html>")
    files["undecodable"].write_bytes(data[: data.index(b"moov")])
    return files


def test_what_is_not_the_clip_is_bad_media_with_its_reason(sandbox: Sandbox, tmp_path: Path) -> None:
    for reason, path in bad_files(tmp_path).items():
        failed = validate(path, wanted_s=3.0, sandbox=sandbox)
        assert isinstance(failed, Failed), reason
        assert (failed.failure, failed.message.split(":")[0]) == (FailureClass.BAD_MEDIA, reason)


def test_a_whole_video_has_any_length_and_a_clip_may_lack_a_twentieth(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.mp4", duration_s=9.0)
    assert facts_of(sandbox, path, None).duration_s == pytest.approx(9.0, abs=0.03)
    assert facts_of(sandbox, path, 9.4).frames == 225
    assert facts_of(sandbox, path, 3.6).frames == 225  # twice as long and two seconds: still the clip
    assert isinstance(validate(path, wanted_s=9.6, sandbox=sandbox), Failed)


def declaring(path: Path, size_WH: tuple[int, int]) -> Path:
    """The file with another size wherever it, or one of its pictures, names its own."""
    width, height = media_files.WIDTH.to_bytes(2), media_files.HEIGHT.to_bytes(2)
    wide, high = (side.to_bytes(2) for side in size_WH)
    data = path.read_bytes()
    assert data.count(width + height) + data.count(height + width) > 0
    path.write_bytes(data.replace(width + height, wide + high).replace(height + width, high + wide))
    return path


def test_a_picture_that_nobody_can_hold_is_refused_in_no_time(sandbox: Sandbox, tmp_path: Path) -> None:
    """An mp4 that declares 65535 by 65535 pixels, in its index alone or in its pictures too."""
    began = time.monotonic()
    by_index = declaring(media_files.write(tmp_path / "a.mp4"), (65_535, 65_535))
    assert facts_of(sandbox, by_index).height_px == media_files.HEIGHT  # its pictures say what they are
    jpeg = {"video_codec": "mjpeg", "pixel_format": "yuvj420p", "audio_codec": "aac"}
    in_all = declaring(media_files.write(tmp_path / "b.mp4", **jpeg), (65_535, 65_535))
    failed = validate(in_all, wanted_s=3.0, sandbox=sandbox)
    assert isinstance(failed, Failed)
    assert failed.failure in (FailureClass.TOO_LARGE, FailureClass.BAD_MEDIA)
    assert time.monotonic() - began < 60


def test_a_file_that_has_gone_is_tried_again(sandbox: Sandbox, tmp_path: Path) -> None:
    failed = validate(tmp_path / "gone.mp4", wanted_s=3.0, sandbox=sandbox)
    assert isinstance(failed, Failed)
    assert failed.failure is FailureClass.TRANSIENT


def test_every_reason_of_the_media_floor_has_a_class() -> None:
    classes = {
        "range": FailureClass.RANGE,
        "odd_span": FailureClass.RANGE,
        "too_large": FailureClass.TOO_LARGE,
        "memory": FailureClass.TOO_LARGE,
        "missing_file": FailureClass.TRANSIENT,
        "unreadable": FailureClass.TRANSIENT,
        "truncated": FailureClass.BAD_MEDIA,
        "timeout": FailureClass.BAD_MEDIA,
        "crash": FailureClass.BAD_MEDIA,
    }
    for reason, failure in classes.items():
        assert failed_by(Rejection(reason, "why")) == Failed(failure, f"{reason}: why")


def test_the_clips_of_a_video_become_files_of_their_names(sandbox: Sandbox, tmp_path: Path) -> None:
    """Two names of one span are two files; a clip that is the whole video is the video's own file."""
    video = FoundVideo(media_files.write(tmp_path / "v.mp4", duration_s=8.0), "https://host/v", starts_at_s=100.0)
    clips = [
        WantedClip("-v_000101", Window(101.0, 104.0)),
        WantedClip("again", Window(101.0, 104.0)),
        WantedClip("-v_000105", Window(104.5, 107.5)),
        WantedClip("late", Window(107.0, 110.0)),
        WantedClip("never", Window(300.0, 303.0)),
        WantedClip("whole"),
    ]
    out_dir = tmp_path / "out"
    outcomes = cut_clips(video, clips, sandbox=sandbox, out_dir=out_dir)
    assert outcomes["whole"] == Found(video.path, "https://host/v")
    for name in ("-v_000101", "again", "-v_000105"):
        assert outcomes[name] == Found(out_dir / f"{name}.mp4", "https://host/v")
    assert (out_dir / "again.mp4").read_bytes() == (out_dir / "-v_000101.mp4").read_bytes()
    assert sorted(path.name for path in out_dir.iterdir()) == ["-v_000101.mp4", "-v_000105.mp4", "again.mp4"]
    failures = {name: one.failure for name, one in outcomes.items() if isinstance(one, Failed)}
    assert failures == {"late": FailureClass.BAD_MEDIA, "never": FailureClass.RANGE}
    facts_of(sandbox, out_dir / "-v_000105.mp4")


def test_the_tools_that_are_there_are_named() -> None:
    versions = tool_versions()
    assert {"python", "av", "numpy"} <= versions.keys()
    assert all(versions.values())


def download_row(n: int, **columns: Any) -> dict[str, Any]:
    values = {
        "work_key": digest(["download", n]),
        "dataset": "drawn",
        "source_id": f"source-{n}",
        "video_id": f"video-{n}",
        "start_ms": 1000,
        "end_ms": 4000,
        "source": "youtube",
        "origin": f"https://host/{n}",
        "path": f"sources/drawn/source-{n}.mp4",
        "source_sha256": sha("download", n),
        "tools": "{}",
    }
    return stamp(**{**values, **columns})


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path / "home")


def test_a_download_is_a_row_and_a_takedown_takes_its_file(catalog: Catalog, sandbox: Sandbox, tmp_path: Path) -> None:
    """Of a file that stays with its owner the link goes, and the file stays."""
    theirs = media_files.write(tmp_path / "theirs.mp4")
    facts = asdict(facts_of(sandbox, theirs))
    folder = catalog.media_dir / "sources" / "drawn"
    folder.mkdir(parents=True)
    own, link = folder / "source-1.mp4", folder / "source-2.mp4"
    own.write_bytes(theirs.read_bytes())
    link.symlink_to(theirs)
    rows = [download_row(n, **facts) for n in (1, 2)]
    assert catalog.insert("downloads", rows) == 2
    assert catalog.insert("downloads", rows) == 0
    findings = [finding.message for finding in catalog.verify() if finding.table == "downloads"]
    assert findings == [f"sources/drawn/source-1.mp4: content differs from sha256 {sha('download', 1)}"]
    burial = catalog.bury("drawn", ["source-1", "source-2"], reason="asked", run_id="r")
    assert burial.media_files == 2
    assert not own.exists()
    assert not link.is_symlink()
    assert theirs.is_file()
    assert catalog.read("downloads").num_rows == 0


def test_a_takedown_takes_what_the_fetcher_keeps_for_later(catalog: Catalog, sandbox: Sandbox, tmp_path: Path) -> None:
    """Clips that were unpacked of an archive, and a film that was on its way; also of a video's clips never fetched."""
    film = media_files.write(tmp_path / "film.mp4")
    own = catalog.media_dir / "sources" / "drawn" / "source-1.mp4"
    own.parent.mkdir(parents=True)
    own.write_bytes(film.read_bytes())
    catalog.insert("downloads", [download_row(1, **asdict(facts_of(sandbox, film)))])
    cache = catalog.media_dir / "fetching" / "cache"
    names = (
        "source-1.mp4",
        "source-1_000030.mkv",
        "video-1_000000.mp4",
        "video-1_30000.mp4",
        f"{TEMP_PREFIX}video-1_9",
    )
    kept = ("source-2.mp4", "video-11_000030.mp4", "video-1x.mp4", "video_000030.mp4")
    (cache / "tars" / "a.b").mkdir(parents=True)
    (cache / "http").mkdir()
    for name in (*names, *kept):
        (cache / "tars" / "a.b" / name).write_bytes(b"media")
    (cache / "http" / f"{part_name('video-1', 'x')}.part").write_bytes(b"half")
    (cache / "http" / f"{part_name('video-1', 'x')}.part.etag").write_bytes(b"mark")
    (cache / "http" / f"{part_name('video-2', 'x')}.part").write_bytes(b"half")
    (cache / "tars" / "video-1_list.json").mkdir()  # no file: nobody's media
    burial = catalog.bury("drawn", ["source-1"], reason="asked", run_id="r")
    assert burial.media_files == 3
    assert catalog.bury_videos(["video-1"], reason="asked", run_id="r").media_files == 5
    left = sorted(path.name for path in cache.rglob("*") if path.is_file())
    assert left == sorted([*kept, f"{part_name('video-2', 'x')}.part"])
    assert catalog.purge().media_files == 0


def test_an_http_part_is_known_by_its_video(monkeypatch: pytest.MonkeyPatch, catalog: Catalog) -> None:
    """What the source keeps of a video that broke off is what a takedown of the video removes."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    gate = NotingGate()
    cache = catalog.media_dir / "fetching" / "cache"
    with running() as host:
        host.put(f"/{ID}.mp4", Reply(b"x" * 9000, cut_after=4000), Reply(b"", status=503))
        source = HttpSource(url=host.url("/{video_id}.mp4"), tries=1)
        opened = source.open(Means(catalog.media_dir / "scratch", gate, cache=cache, sleep=lambda _s: None))
        opened.fetch(wanted(30))
    assert [path.stat().st_size for path in cache.rglob("*.part")] == [4000]
    assert purge_cache(catalog.media_dir, {"-bcdefghi_2"}) == 0
    assert purge_cache(catalog.media_dir, {ID}) >= 1
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_link_to_what_its_owner_took_away_is_found(catalog: Catalog, sandbox: Sandbox, tmp_path: Path) -> None:
    theirs = media_files.write(tmp_path / "theirs.mp4")
    facts = asdict(facts_of(sandbox, theirs))
    link = catalog.media_dir / "sources" / "drawn" / "source-2.mp4"
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs)
    catalog.insert("downloads", [download_row(2, **facts)])
    assert catalog.verify() == []
    theirs.unlink()
    [finding] = catalog.verify()
    assert (finding.check, finding.table) == ("media", "downloads")
    assert "its owner has taken away" in finding.message
    assert catalog.repair([finding]) == {"downloads": 1}
