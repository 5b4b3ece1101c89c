"""Archives of clips: plain, compressed, damaged, and made by somebody who means harm."""

from __future__ import annotations

import errno
import gzip
import io
import json
import random
import tarfile
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from fetch_doubles import files_outside, means

from uniform_core.errors import ConfigError, StorageError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Absent, Failed, Found, Outcome
from uniform_core.fetching.sources import TarSource
from uniform_core.fetching.tars import listing as listings
from uniform_core.fetching.tars.blocks import TarReader
from uniform_core.fetching.tars.gzips import PlainStream
from uniform_core.fetching.wanted import WantedClip, WantedVideo

DEEP = "scratch/shared/beegfs/somebody/VGGSound_final/video/"


def content(name: str, size: int = 5000) -> bytes:
    return random.Random(name).randbytes(size)


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", **more: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data) if data else None)


def plain(*names: str) -> bytes:
    """A tar of files with these names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in names:
            add(tar, name, content(Path(name).stem))
    return out.getvalue()


def outcome(source: Any, source_id: str) -> Outcome:
    found: Outcome = source.fetch(WantedVideo("d", "v", (WantedClip(source_id),)))[source_id]
    return found


def failed(source: Any, source_id: str) -> Failed:
    found = outcome(source, source_id)
    assert isinstance(found, Failed), found
    return found


def opened(folder: Path, *archives: Path, **more: Any) -> Any:
    return TarSource(paths=archives, **more).open(means(folder))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("is_packed", [False, True])
def test_clips_are_found_by_their_names_at_any_depth(is_packed: bool, tmp_path: Path) -> None:
    names = [f"{DEEP}-0f_I2yQ9aa_000030.mp4", "b_000001.webm", "x/notes.txt", "c.mp4"]
    data = plain(*names)
    path = write(tmp_path / "vggsound_00.tar.gz", gzip.compress(data) if is_packed else data)
    source = opened(tmp_path, path)
    for stem, suffix in {"-0f_I2yQ9aa_000030": ".mp4", "b_000001": ".webm", "c": ".mp4"}.items():
        found = outcome(source, stem)
        assert isinstance(found, Found)
        assert found.path.read_bytes() == content(stem)
        assert found.path.is_relative_to(tmp_path / "scratch")
        assert (found.path.suffix, found.is_owned) == (suffix, True)
        found.path.unlink()
        assert isinstance(outcome(source, stem), Found), "it is the caller's to take away, and can be asked for again"
    assert outcome(source, "notes") == Absent()
    assert outcome(source, "nobody") == Absent()


def test_an_archive_is_read_once_and_its_list_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tar.gz", gzip.compress(plain("a.mp4")))
    assert isinstance(outcome(opened(tmp_path, path), "a"), Found)
    monkeypatch.setattr(listings, "_listed", None)
    assert isinstance(outcome(opened(tmp_path, path), "a"), Found)
    monkeypatch.undo()
    write(path, gzip.compress(plain("b.mp4")))
    assert isinstance(outcome(opened(tmp_path, path), "b"), Found), "another archive has its own list"
    (kept,) = [json.loads(one.read_text()) for one in tmp_path.rglob("*.json") if "a.mp4" not in one.name][:1]
    assert set(kept) == {"version", "is_packed", "clips", "refused", "gaps", "note"}


def test_a_cache_that_was_cleared_is_filled_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.gz", gzip.compress(plain("a.mp4", "b.mp4")))
    source = opened(tmp_path, path)
    assert isinstance(outcome(source, "a"), Found)
    for unpacked in (tmp_path / "cache").rglob("*.mp4"):
        unpacked.unlink()
    found = outcome(source, "b")
    assert isinstance(found, Found)
    assert found.path.read_bytes() == content("b")


def test_several_archives_and_a_folder_of_them(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    one = write(tmp_path / "one.tar", plain("a.mp4"))
    write(tmp_path / "many" / "v_01.tar.gz", gzip.compress(plain("b.mp4")))
    write(tmp_path / "many" / "v_02.tgz", gzip.compress(plain("c.mp4", "a.mp4")))
    write(tmp_path / "many" / "readme.md", b"no archive")
    source = opened(tmp_path, one, tmp_path / "many")
    assert all(isinstance(outcome(source, stem), Found) for stem in "abc")
    found = outcome(source, "a")
    assert isinstance(found, Found)
    assert found.origin == f"{one}#a.mp4", "the first that has it"


def test_of_a_damaged_part_what_lies_before_and_after_is_used(tmp_path: Path) -> None:
    """Text, not noise: noise is stored as it is, and damage in it shows only at the part's end."""
    out = []
    for stem in "abcde":
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            add(tar, f"{DEEP}{stem}.mp4", (stem.encode() + b" %d " % len(out)) * 4000)
        data = packed.getvalue()[: 512 * (1 + -(-len(packed.getvalue().rstrip(b"\0")) // 512))]
        out.append(gzip.compress(data[: len(data) - 512] if len(data) % 512 == 0 else data))
    hit = bytearray(out[2])
    hit[30:40] = b"\xff" * 10
    path = write(tmp_path / "v.tar.gz", b"".join([*out[:2], bytes(hit), *out[3:]]))
    source = opened(tmp_path, path)
    assert all(isinstance(outcome(source, stem), Found) for stem in "abde")
    assert not isinstance(outcome(source, "c"), Found)


def test_within_a_damaged_part_what_lies_before_the_damage_is_used(tmp_path: Path) -> None:
    """A block of a kind that there is none of, where it begins at a whole byte: zlib is sure to see it."""
    data = plain("a.mp4", "b.mp4", "c.mp4")
    part = zlib.compressobj(wbits=31)
    before = part.compress(data[:12_000]) + part.flush(zlib.Z_FULL_FLUSH)  # c begins at byte 11,264
    after = part.compress(data[12_000:]) + part.flush()
    source = opened(tmp_path, write(tmp_path / "v.tar.gz", before + b"\x07" + after[1:]))
    assert isinstance(outcome(source, "a"), Found)
    assert isinstance(outcome(source, "b"), Found)
    assert "damaged within it" in failed(source, "c").message


def test_a_compressed_archive_that_was_cut_keeps_what_came(tmp_path: Path) -> None:
    data = gzip.compress(plain(*(f"{stem}.mp4" for stem in "abcdefgh")))
    source = opened(tmp_path, write(tmp_path / "v.tar.gz", data[: len(data) // 2]))
    assert isinstance(outcome(source, "a"), Found)
    found = [failed(source, stem) for stem in "bcdefg" if isinstance(outcome(source, stem), Failed)]
    assert [one.failure for one in found] == [FailureClass.BAD_MEDIA], "the one that was cut; of the rest nobody knows"
    assert "damaged within it" in found[0].message
    assert outcome(source, "h") == Absent()


def test_a_plain_archive_that_was_cut_keeps_what_came(tmp_path: Path) -> None:
    data = plain("a.mp4", "b.mp4")
    source = opened(tmp_path, write(tmp_path / "v.tar", data[:8000]))
    assert isinstance(outcome(source, "a"), Found)
    assert "the archive ends at byte 8,000" in failed(source, "b").message


def test_a_damaged_header_is_gone_on_behind(tmp_path: Path) -> None:
    data = bytearray(plain("a.mp4", "b.mp4", "c.mp4"))
    data[5632 : 5632 + 512] = b"\xee" * 512  # the header of b
    source = opened(tmp_path, write(tmp_path / "v.tar", bytes(data)))
    assert isinstance(outcome(source, "a"), Found)
    assert outcome(source, "b") == Absent()
    found = outcome(source, "c")
    assert isinstance(found, Found)
    assert found.path.read_bytes() == content("c")


def test_an_archive_that_changes_under_the_run_hands_out_nothing_half(tmp_path: Path) -> None:
    path = write(tmp_path / "v.tar", plain("a.mp4", "b.mp4"))
    source = opened(tmp_path, path)
    assert isinstance(outcome(source, "a"), Found)
    path.write_bytes(path.read_bytes()[:6000])
    assert failed(source, "b").failure is FailureClass.BAD_MEDIA
    assert len(list((tmp_path / "scratch").iterdir())) == 1


@pytest.mark.parametrize("is_packed", [False, True])
def test_nothing_that_leads_out_of_the_archive_is_taken(is_packed: bool, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    secret = write(tmp_path / "secret.mp4", b"secret")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        add(tar, f"{tmp_path}/abs.mp4", b"x" * 100)
        add(tar, "../../up.mp4", b"x" * 100)
        add(tar, "soft.mp4", type=tarfile.SYMTYPE, linkname=str(secret))
        add(tar, "sized.mp4", type=tarfile.SYMTYPE, linkname=str(secret), size=100)  # it says so, and has none
        add(tar, "hard.mp4", type=tarfile.LNKTYPE, linkname="../secret.mp4")
        add(tar, "device.mp4", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
        add(tar, "pipe.mp4", type=tarfile.FIFOTYPE)
        add(tar, "folder.mp4", type=tarfile.DIRTYPE)
        add(tar, "empty.mp4", b"")
        add(tar, "nul\0.mp4", b"x" * 100)
        add(tar, "é" * 90 + ".mp4", b"x" * 100)
        add(tar, "good.mp4", content("good"))
    data = out.getvalue()
    path = write(tmp_path / "work" / "v.tar", gzip.compress(data) if is_packed else data)
    source = opened(tmp_path / "work", path)
    for stem in ("soft", "sized", "hard", "device", "pipe", "folder"):
        assert "a file expected, a link, folder or device found" in failed(source, stem).message
    for stem in ("abs", "up", "soft", "hard", "device", "pipe", "folder", "empty"):
        assert failed(source, stem).failure is FailureClass.BAD_MEDIA
    assert isinstance(outcome(source, "good"), Found)
    assert files_outside(tmp_path, [tmp_path / "work" / "scratch", tmp_path / "work" / "cache"]) == {secret, path}
    assert not [found for found in (tmp_path / "work").rglob("*") if found.is_symlink()]


def test_a_bomb_is_left_in_bounded_room(tmp_path: Path) -> None:
    """40 MB of zeros in 40 kB, as one member and as padding."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "good.mp4", content("good"))
        add(tar, "zeros.mp4", bytes(40_000_000))
        add(tar, "late.mp4", content("late"))
    source = opened(tmp_path, write(tmp_path / "v.tar.gz", gzip.compress(out.getvalue())))
    assert isinstance(outcome(source, "good"), Found)
    assert outcome(source, "zeros") == Absent()
    assert outcome(source, "late") == Absent()
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 5_000_000


def test_a_member_that_is_too_large_is_not_taken(tmp_path: Path) -> None:
    source = opened(tmp_path, write(tmp_path / "v.tar", plain("a.mp4")), most_member_bytes=4000)
    found = failed(source, "a")
    assert found.failure is FailureClass.TOO_LARGE
    assert "at most 4,000 bytes expected, 5,000 found" in found.message


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """A header that says a size which its archive does not have."""
    block = bytearray(512)
    block[:100] = name.encode().ljust(100, b"\0")
    block[124:136] = size
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("kind", [b"L", b"x", b"g", b"0", b"S", b"K"])
def test_a_size_beyond_all_bounds_costs_nothing(kind: bytes, tmp_path: Path) -> None:
    """A name of eight exabytes; a pax header, too: Python's own reader would make room for it."""
    data = header("a.mp4", b"\x80" + (2**62).to_bytes(11, "big"), kind) + content("a")
    begun = time.monotonic()
    source = opened(tmp_path, write(tmp_path / "v.tar", data), most_member_bytes=2**63)
    assert not isinstance(outcome(source, "a"), Found)
    assert time.monotonic() - begun < 20
    assert list(TarReader(PlainStream(io.BytesIO(b"\x07" * 5_000_000)))) == [], "noise is no archive"


def test_a_listing_of_another_form_is_made_again(tmp_path: Path) -> None:
    path = write(tmp_path / "v.tar", plain("a.mp4"))
    assert isinstance(outcome(opened(tmp_path, path), "a"), Found)
    (kept,) = (tmp_path / "cache").rglob("*.json")
    for text in ("{", json.dumps({**json.loads(kept.read_text()), "version": 99, "clips": {}})):
        kept.write_text(text)
        assert isinstance(outcome(opened(tmp_path, path), "a"), Found)


def test_a_disk_that_cannot_be_read_is_no_clip_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_stream: PlainStream, _count: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    source = opened(tmp_path, write(tmp_path / "v.tar", plain("a.mp4")))
    monkeypatch.setattr(PlainStream, "read", broken)
    with pytest.raises(StorageError, match=r"v\.tar: expected an archive that can be read; found Input/output error"):
        outcome(source, "a")
    monkeypatch.undo()
    assert isinstance(outcome(source, "a"), Found), "and nothing was written down of it"


def test_what_is_no_archive_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for path, found in ((tmp_path / "none", "none"), (tmp_path / "missing.tar", "No such file")):
        with pytest.raises(ConfigError, match=found):
            opened(tmp_path, path)
