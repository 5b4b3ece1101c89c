"""A download against servers that fail in every way: it goes on where it can, and says what is wrong where not."""

from __future__ import annotations

import random
import resource
import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from weights_server import Served, WeightsServer, certificate, running

from uniform_core.download import Patience, Remote, download
from uniform_core.errors import ServiceError, StorageError

DATA = random.Random(0).randbytes(300_000)
HURRY = Patience(silence_s=5.0, tries=3, pause_s=0.0)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(tls: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[WeightsServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running(tls=tls) as started:
        yield started


def remote(server: WeightsServer, served: Served | None, **more: Any) -> Remote:
    if served is not None:
        server.files["/w"] = served
    return Remote(server.url("/w"), **{"most_bytes": 1 << 20, **more})


def refusal(server: WeightsServer, served: Served | None, part: Path, **more: Any) -> str:
    with pytest.raises(ServiceError) as error:
        download(remote(server, served, **more), part, patience=HURRY)
    assert server.url("") in error.value.item
    return f"expected {error.value.expected}; found {error.value.found}. {error.value.fix}"


def test_a_whole_file_comes_and_is_told_as_it_comes(server: WeightsServer, tmp_path: Path) -> None:
    heard: list[int] = []
    download(remote(server, Served(DATA), size_bytes=len(DATA)), tmp_path / "sub" / "w", heard=heard.append)
    assert (tmp_path / "sub" / "w").read_bytes() == DATA
    assert heard == sorted(heard)
    assert heard[-1] == len(DATA)
    assert server.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("etag", ['"one"', None, 'W/"weak"'])
def test_a_connection_that_is_cut_is_gone_on_with(etag: str | None, server: WeightsServer, tmp_path: Path) -> None:
    """Without a strong mark only a known sha256 says whether two halves are of one file: else it begins anew."""
    for sha256 in (None, "0" * 64):
        server.asked.clear()
        (tmp_path / "w").unlink(missing_ok=True)
        download(
            remote(server, Served(DATA, etag=etag, cuts=[70_000, 90_000]), sha256=sha256),
            tmp_path / "w",
            patience=HURRY,
        )
        assert (tmp_path / "w").read_bytes() == DATA
        joins = etag == '"one"' or sha256 is not None
        assert [asked.start for asked in server.asked] == ([0, 70_000, 160_000] if joins else [0, 0, 0])


def test_a_second_call_goes_on_where_the_first_was_ended(server: WeightsServer, tmp_path: Path) -> None:
    once = Patience(silence_s=5.0, tries=1)
    with pytest.raises(ServiceError, match=r"closed at byte 1,000 of 300,000, 1,000 bytes are here\. Run the same"):
        download(remote(server, Served(DATA, cuts=[1000])), tmp_path / "w", patience=once)
    download(remote(server, None), tmp_path / "w", patience=once)
    assert (tmp_path / "w").read_bytes() == DATA
    assert [asked.start for asked in server.asked] == [0, 1000]
    assert server.asked[1].headers["if-range"] == '"one"'


def test_a_connection_that_breaks_forever_ends_but_one_that_moves_does_not(
    server: WeightsServer, tmp_path: Path
) -> None:
    assert "closed at byte 0" in refusal(server, Served(DATA, cuts=[0] * 9), tmp_path / "a")
    assert len(server.asked) == HURRY.tries
    download(remote(server, Served(DATA, cuts=[100] * 9)), tmp_path / "b", patience=HURRY)
    assert (tmp_path / "b").read_bytes() == DATA


def test_a_server_without_ranges_sends_it_from_the_start(server: WeightsServer, tmp_path: Path) -> None:
    download(remote(server, Served(DATA, ranges=False, cuts=[5000])), tmp_path / "w", patience=HURRY)
    assert (tmp_path / "w").read_bytes() == DATA
    said = refusal(server, Served(DATA, ranges=False, cuts=[5000] * 9), tmp_path / "v")
    assert "the connection was closed at byte 5,000 of 300,000" in said


def test_a_server_that_goes_on_elsewhere_is_not_believed(server: WeightsServer, tmp_path: Path) -> None:
    served = Served(DATA, cuts=[5000], range_answer="bytes 7-299999/300000")
    assert "expected the file from byte 5,000 on; found bytes 7-" in refusal(server, served, tmp_path / "w")


@pytest.mark.parametrize(("ranges", "heeds_mark"), [(True, True), (False, True), (True, False)])
def test_a_file_that_changed_meanwhile_is_not_joined_to_its_former_half(
    ranges: bool, heeds_mark: bool, server: WeightsServer, tmp_path: Path
) -> None:
    with pytest.raises(ServiceError):
        download(remote(server, Served(DATA, cuts=[5000])), tmp_path / "w", patience=Patience(tries=1))
    other = Served(DATA[::-1], etag='"two"', ranges=ranges, heeds_mark=heeds_mark)
    download(remote(server, other), tmp_path / "w", patience=HURRY)
    assert (tmp_path / "w").read_bytes() == other.data


def test_a_partial_file_that_is_whole_or_too_long(server: WeightsServer, tmp_path: Path) -> None:
    """Killed after the last byte; or what lies there is no part of it."""
    part = tmp_path / "w"
    part.write_bytes(DATA)
    download(remote(server, Served(DATA), sha256="0" * 64), part, patience=HURRY)
    download(remote(server, Served(DATA), size_bytes=len(DATA)), part, patience=HURRY)
    assert [asked.start for asked in server.asked] == [len(DATA)], "the second knew without asking"
    for size_bytes in (None, len(DATA)):
        part.write_bytes(DATA + b"more")
        download(remote(server, Served(DATA), sha256="0" * 64, size_bytes=size_bytes), part, patience=HURRY)
        assert part.read_bytes() == DATA


def test_another_length_is_refused_before_a_byte_is_kept(server: WeightsServer, tmp_path: Path) -> None:
    said = refusal(server, Served(DATA), tmp_path / "w", size_bytes=299_999)
    assert "expected 299,999 bytes, as published; found 300,000" in said
    assert "at most 200,000 bytes; found 300,000" in refusal(server, Served(DATA), tmp_path / "w", most_bytes=200_000)
    assert not (tmp_path / "w").exists()


def test_a_file_that_never_ends_is_left(server: WeightsServer, tmp_path: Path) -> None:
    said = refusal(server, Served(DATA, chunked=True), tmp_path / "w", most_bytes=100_000)
    assert "at most 100,000 bytes; found " in said
    assert (tmp_path / "w").stat().st_size <= 100_000


def test_chunks_without_a_length_are_whole_only_with_their_end(server: WeightsServer, tmp_path: Path) -> None:
    download(remote(server, Served(DATA, chunked=True)), tmp_path / "w", patience=HURRY)
    assert (tmp_path / "w").read_bytes() == DATA
    cut = Served(DATA, chunked=True, ranges=False, cuts=[9000] * 9)
    assert "the connection broke" in refusal(server, cut, tmp_path / "v")
    assert "expected a length; found no word" in refusal(server, Served(DATA, length=-1), tmp_path / "u")


@pytest.mark.parametrize(
    "served",
    [
        Served(b"Please sign in.", kind="text/html; charset=utf-8"),
        Served(b"\n<!DOCTYPE HTML><html>sign in</html>" * 50),
    ],
    ids=["by its kind", "by its words"],
)
def test_a_web_page_in_place_of_the_file(served: Served, server: WeightsServer, tmp_path: Path) -> None:
    assert "found a web page (HTML). It asks for something: Get the file by hand" in refusal(
        server, served, tmp_path / "w"
    )
    assert not (tmp_path / "w").exists() or (tmp_path / "w").stat().st_size == 0


@pytest.mark.parametrize(("status", "said"), [(404, "404 Not Found. It may have moved"), (410, "410 Gone")])
def test_a_file_that_is_not_there(status: int, said: str, server: WeightsServer, tmp_path: Path) -> None:
    assert said in refusal(server, Served(DATA, status=status), tmp_path / "w")
    assert len(server.asked) == 1, "asking again helps nobody"


@pytest.mark.parametrize("status", [401, 403])
def test_a_file_that_is_not_for_everybody(status: int, server: WeightsServer, tmp_path: Path) -> None:
    said = refusal(server, Served(DATA, status=status), tmp_path / "w", denied="Accept its licence.")
    assert f"expected a file that may be had; found {status} " in said
    assert said.endswith("Accept its licence.")


def test_a_server_that_is_busy_is_asked_again(server: WeightsServer, tmp_path: Path) -> None:
    download(remote(server, Served(DATA, busy=2)), tmp_path / "w", patience=HURRY)
    assert len(server.asked) == 3
    assert "503 Service Unavailable" in refusal(server, Served(DATA, busy=9), tmp_path / "v")


def test_a_redirect_is_followed_to_https_alone(server: WeightsServer, tmp_path: Path) -> None:
    server.files["/there"] = Served(DATA)
    served = Served(b"", redirect=server.url("/there", host="localhost"))
    login = {"Authorization": "Bearer secret"}
    download(remote(server, served, headers=login), tmp_path / "w", patience=HURRY)
    assert (tmp_path / "w").read_bytes() == DATA
    assert [("authorization" in asked.headers) for asked in server.asked] == [True, False], "a login is for its host"
    for where in ("http://weights.invalid/w", "ftp://weights.invalid/w"):
        said = refusal(server, Served(b"", redirect=where), tmp_path / "v")
        assert "expected a file, or an https address of it; found 302, on to " in said
    assert "not allowed" in refusal(server, Served(b"", redirect="file:///etc/passwd"), tmp_path / "v")
    assert "redirect" in refusal(server, Served(b"", redirect=server.url("/w")), tmp_path / "v").lower()


def test_a_server_that_falls_silent_or_trickles_is_left(server: WeightsServer, tmp_path: Path) -> None:
    silent = Patience(silence_s=0.2, tries=1)
    slow = Served(DATA, pause_s=1.0, piece=1000)
    with pytest.raises(ServiceError, match=r"the connection broke \(.*timed out.*1,000 bytes are here"):
        download(remote(server, slow), tmp_path / "w", patience=silent)
    trickle = Served(DATA, pause_s=0.05, piece=100)
    patience = Patience(silence_s=5, tries=1, window_s=0.3, window_bytes=50_000)
    with pytest.raises(ServiceError, match=r"slower than 50,000 bytes in 0\.3 s"):
        download(remote(server, trickle), tmp_path / "v", patience=patience)


def test_a_server_that_nobody_vouches_for(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    said = refusal(server, Served(DATA), tmp_path / "w")
    assert "expected a server that is who it says; found a certificate that cannot be believed (self" in said
    assert server.asked == []


def test_where_nothing_answers(tmp_path: Path) -> None:
    with running() as gone:
        address = gone.url("/w").replace("http:", "https:")
    with pytest.raises(ServiceError, match=r"no answer \(.*refused"):
        download(Remote(address, most_bytes=10), tmp_path / "w", patience=HURRY)


def test_room_is_looked_for_before_gigabytes_come(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(StorageError, match=r"expected 269 MB of room at .*; found 1 MB\. Make room"):
        download(remote(server, Served(DATA)), tmp_path / "w", patience=HURRY)
    assert not (tmp_path / "w").exists()


def test_a_disk_that_is_full_after_all(server: WeightsServer, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"found File too large\. Free some room"):
            download(remote(server, Served(DATA)), tmp_path / "w", patience=HURRY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    download(remote(server, None), tmp_path / "w", patience=HURRY)
    assert (tmp_path / "w").read_bytes() == DATA
    assert server.asked[-1].start == 100_000
