"""Plain HTTP against a host that does all that real ones do: each failure in its class, no request past the gate."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from fetch_doubles import START, FakeClock, NotingGate, means, wanted
from pydantic import ValidationError
from standin_host import PAGE, Reply, StandinHost, expired_after, running

from uniform_core.errors import ConfigError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.hosts import HostGates, HostRules
from uniform_core.fetching.outcome import Absent, Addresses, Deferred, Failed, Found, FoundVideo, Outcome
from uniform_core.fetching.policies import POLICIES
from uniform_core.fetching.sources import HttpSource
from uniform_core.fetching.sources.http import MOST_MISSING

DATA = random.Random(0).randbytes(200_000)
PATH = "/-bcdefghi_1.mp4"
F = FailureClass
PATIENCE_S = 600.0  # a busy machine may take so long from a line of a test to the host's answer


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandinHost]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running() as started:
        yield started


def source(host: StandinHost, **more: Any) -> HttpSource:
    return HttpSource(url=host.url("/{video_id}.mp4"), **{"silence_s": 5.0, "most_bytes": 1 << 20, **more})


def fetch(
    host: StandinHost, folder: Path, replies: Sequence[Reply], *, gate: NotingGate | None = None, **more: Any
) -> Outcome:
    """What comes of the one clip of a video that has these replies."""
    host.put(PATH, *replies)
    outcomes = source(host, **more).open(means(folder, gate)).fetch(wanted(30))
    assert list(outcomes) == ["-bcdefghi_1_000030"]
    return outcomes["-bcdefghi_1_000030"]


def failure(host: StandinHost, folder: Path, *replies: Reply, **more: Any) -> Failed:
    found = fetch(host, folder, replies, **more)
    assert isinstance(found, Failed), found
    return found


def test_a_video_comes_once_for_all_its_clips(host: StandinHost, tmp_path: Path) -> None:
    host.put(PATH, Reply(DATA))
    gate = NotingGate()
    outcomes = source(host).open(means(tmp_path, gate)).fetch(wanted(30, 60))
    files = {found.path for found in outcomes.values() if isinstance(found, FoundVideo)}
    assert len(outcomes) == 2
    assert [path.read_bytes() for path in files] == [DATA]
    assert all(path.is_relative_to(tmp_path / "scratch") for path in files)
    assert (gate.asked, gate.told) == (["127.0.0.1"], [("127.0.0.1", None)])


def test_a_clip_that_is_the_whole_video_is_the_file_itself(host: StandinHost, tmp_path: Path) -> None:
    url = host.put(PATH, Reply(DATA))
    found = source(host).open(means(tmp_path)).fetch(wanted(None))["-bcdefghi_1"]
    assert isinstance(found, Found)
    assert (found.path.read_bytes(), found.origin, found.is_owned) == (DATA, url, True)


def test_a_cut_connection_is_gone_on_with_and_each_request_passes_the_gate(host: StandinHost, tmp_path: Path) -> None:
    gate = NotingGate()
    found = fetch(
        host, tmp_path, [Reply(DATA, cut_after=50_000), Reply(DATA, cut_after=70_000), Reply(DATA)], gate=gate
    )
    assert isinstance(found, FoundVideo)
    assert found.path.read_bytes() == DATA
    assert [asked.start for asked in host.asked] == [0, 50_000, 120_000]
    assert len(gate.asked) == 3
    assert [failed and failed.failure for _, failed in gate.told] == [F.TRANSIENT, F.TRANSIENT, None]


def test_a_killed_worker_s_half_is_gone_on_with_by_the_next_run(host: StandinHost, tmp_path: Path) -> None:
    assert failure(host, tmp_path / "a", Reply(DATA, cut_after=60_000), Reply(DATA, cut_after=0)).failure is F.TRANSIENT
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "cache").rename(tmp_path / "b" / "cache")
    assert isinstance(fetch(host, tmp_path / "b", [Reply(DATA)]), FoundVideo)
    assert host.asked[-1].start == 60_000


def test_a_server_without_ranges_is_asked_from_the_start(host: StandinHost, tmp_path: Path) -> None:
    found = fetch(host, tmp_path, [Reply(DATA, ranges=False, cut_after=50_000), Reply(DATA, ranges=False)])
    assert isinstance(found, FoundVideo)
    assert found.path.read_bytes() == DATA


OLD = datetime(2020, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_where_a_host_gives_no_strong_mark_the_time_of_the_last_change_is_one(
    etag: str | None, host: StandinHost, tmp_path: Path
) -> None:
    cut = Reply(DATA, etag=etag, modified=OLD, cut_after=70_000)
    found = fetch(host, tmp_path, [cut, replace(cut, cut_after=None)])
    assert isinstance(found, FoundVideo)
    assert found.path.read_bytes() == DATA
    assert [asked.start for asked in host.asked] == [0, 70_000]
    assert host.asked[1].headers["if-range"] == "Fri, 01 May 2020 12:00:00 GMT"


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=30), timedelta(hours=-1)])
def test_of_a_file_that_has_just_changed_the_time_says_nothing(
    age: timedelta, host: StandinHost, tmp_path: Path
) -> None:
    cut = Reply(DATA, etag=None, modified=datetime.now(UTC) - age, cut_after=70_000)
    found = fetch(host, tmp_path, [cut, replace(cut, cut_after=None)])
    assert isinstance(found, FoundVideo)
    assert found.path.read_bytes() == DATA
    assert [asked.start for asked in host.asked] == [0, 0]


@pytest.mark.parametrize("what", ["time", "length"])
@pytest.mark.parametrize("etag", [None, '"one"'])
def test_halves_of_two_files_are_not_joined_where_the_host_does_not_heed_the_mark(
    etag: str | None, what: str, host: StandinHost, tmp_path: Path
) -> None:
    """It gives a range of whatever it has: the mark or the length of the whole says that this is another file."""
    other = DATA[::-1] if what == "time" else DATA[::-1] + b"more"
    mark = etag if what == "length" else (etag and '"two"')
    first = Reply(DATA, etag=etag, modified=OLD, cut_after=70_000)
    then = Reply(other, etag=mark, modified=OLD + timedelta(days=what == "time"), heeds_mark=False)
    found = fetch(host, tmp_path, [first, then])
    assert isinstance(found, FoundVideo)
    assert found.path.read_bytes() == other
    assert [asked.start for asked in host.asked] == [0, 70_000, 0]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, F.DEAD),
        (410, F.DEAD),
        (401, F.DENIED),
        (403, F.DENIED),
        (451, F.GEO),
        (500, F.TRANSIENT),
        (503, F.TRANSIENT),
    ],
)
def test_an_answer_that_is_no_success(status: int, expected: FailureClass, host: StandinHost, tmp_path: Path) -> None:
    found = failure(host, tmp_path, Reply(status=status))
    assert (found.failure, found.http_status) == (expected, status)
    assert str(status) in found.message
    assert len(host.asked) == (4 if expected is F.TRANSIENT else 1)


def test_where_nothing_is_it_says_where_it_looks_for_all_videos(host: StandinHost, tmp_path: Path) -> None:
    """So that whoever counts can tell a wrong address from videos that are gone."""
    found = failure(host, tmp_path, Reply(status=404))
    assert found.nothing_at == Addresses(source(host).url or "", MOST_MISSING)
    assert found.nothing_at.prefix == host.url("/")
    assert failure(host, tmp_path, Reply(status=403)).nothing_at is None
    own = HttpSource(hosts=("127.0.0.1",), most_missing=7).open(means(tmp_path))
    host.put("/own.mp4", Reply(status=404))
    [answer] = own.fetch(wanted(30, url=host.url("/own.mp4"))).values()
    assert isinstance(answer, Failed)
    assert answer.nothing_at == Addresses(host.url("/"), 7)


def test_busy_for_a_moment_is_asked_again(host: StandinHost, tmp_path: Path) -> None:
    assert isinstance(fetch(host, tmp_path, [Reply(status=502), Reply(status=504), Reply(DATA)]), FoundVideo)


def test_busy_until_it_says_is_left_until_then(host: StandinHost, tmp_path: Path) -> None:
    found = failure(host, tmp_path, Reply(status=503, retry_after="120"))
    assert (found.failure, found.retry_after_s) == (F.TRANSIENT, 120.0)
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    ("said", "hours"),
    [(None, 1), ("7200", 2), ("60", 1), ("soon", 1), (timedelta(hours=-1), 1), (timedelta(hours=3), 3)],
)
def test_a_rate_limit_closes_the_host_and_counts_against_no_clip(
    said: str | timedelta | None, hours: int, host: StandinHost, tmp_path: Path
) -> None:
    """Retry-After is missing, a number of seconds, nonsense, or a moment by the clock that the host's `Date` is of."""
    retry_after = format_datetime(datetime.now(UTC) + said, usegmt=True) if isinstance(said, timedelta) else said
    clock = FakeClock()
    gates = HostGates(HostRules(), clock=clock, rng=random.Random(0))
    host.put(PATH, Reply(status=429, retry_after=retry_after))
    opened = source(host).open(means(tmp_path, gates.client(sleep=clock.sleep)))
    for _ in range(3):
        found = opened.fetch(wanted(30))["-bcdefghi_1_000030"]
        assert isinstance(found, Deferred)
        asked_s = (found.until - START).total_seconds()
        assert hours * 3600 - PATIENCE_S < asked_s <= hours * 3600, "of a moment, the rest when the answer was sent"
        assert "rate_limit" in found.reason
    assert len(host.asked) == 1, "nobody asks a closed host"
    assert not POLICIES[F.RATE_LIMIT].counts


def test_an_address_that_expires_within_the_file_is_asked_anew_once(host: StandinHost, tmp_path: Path) -> None:
    part, refused = expired_after(DATA, sent=50_000)
    assert isinstance(fetch(host, tmp_path / "a", [part, refused, Reply(DATA)]), FoundVideo)
    host.asked.clear()
    found = failure(host, tmp_path / "b", part, refused)
    assert (found.failure, found.http_status) == (F.EXPIRED_URL, 403)
    assert len(host.asked) == 3


@pytest.mark.parametrize("reply", [Reply(PAGE, kind="text/html"), Reply(PAGE)], ids=["by its kind", "by its words"])
def test_a_page_in_place_of_media(reply: Reply, host: StandinHost, tmp_path: Path) -> None:
    assert failure(host, tmp_path, reply).failure is F.BAD_MEDIA
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()], "none of it is gone on with"


def test_an_empty_file(host: StandinHost, tmp_path: Path) -> None:
    assert failure(host, tmp_path, Reply(b"")).failure is F.BAD_MEDIA


def test_a_length_that_is_too_long_by_far_is_refused_before_a_byte_is_kept(host: StandinHost, tmp_path: Path) -> None:
    found = failure(host, tmp_path, Reply(DATA, length=100_000_000_000))
    assert found.failure is F.TOO_LARGE
    assert "100,000,000,000" in found.message
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(DATA, length="9" * 5000), "no word of how long it is"),  # which Python refuses to read as a number
        (Reply(DATA, length="-5"), "no word of how long it is"),
        (Reply(status=302, location="http://[::1"), "Invalid IPv6 URL"),
        (Reply(status=302, location="file:///etc/passwd"), "is not allowed"),
        (Reply(status=503, phrase="so\rsorry" * 1000), "the server says 503 so sorry"),
    ],
    ids=["a length of 5000 digits", "no length", "on to no address", "on to a file", "a long story"],
)
def test_odd_words_of_a_server_are_its_clip_s_failure_and_not_the_run_s(
    reply: Reply, expected: str, host: StandinHost, tmp_path: Path
) -> None:
    found = failure(host, tmp_path, reply, tries=1)
    assert found.failure is F.TRANSIENT
    assert expected in found.message
    assert len(found.message) <= 500
    assert "\r" not in found.message


def test_a_length_that_is_never_reached_may_pass(host: StandinHost, tmp_path: Path) -> None:
    assert failure(host, tmp_path, Reply(DATA, length=300_000, ranges=False)).failure is F.TRANSIENT


def test_a_circle_of_redirects_ends(host: StandinHost, tmp_path: Path) -> None:
    found = failure(host, tmp_path, Reply(status=302, location=PATH), tries=1)
    assert found.failure is F.TRANSIENT
    assert len(host.asked) < 20


def test_a_redirect_is_followed_on_the_same_host_only(host: StandinHost, tmp_path: Path) -> None:
    host.put("/there.mp4", Reply(DATA))
    assert isinstance(fetch(host, tmp_path, [Reply(status=302, location="/there.mp4")]), FoundVideo)
    away = Reply(status=302, location=host.url("/there.mp4", host="localhost"))
    found = failure(host, tmp_path, away)
    assert found.failure is F.DENIED
    assert "localhost" in found.message
    assert isinstance(fetch(host, tmp_path, [away], hosts=("localhost",)), FoundVideo)


def test_a_body_that_trickles_is_left_in_time(host: StandinHost, tmp_path: Path) -> None:
    found = failure(host, tmp_path, Reply(DATA, piece=10, pause_s=0.02), most_s=0.1, tries=1)
    assert found.failure is F.TRANSIENT
    assert "within 0.1 s" in found.message


def test_a_body_that_falls_silent_is_left_in_time(host: StandinHost, tmp_path: Path) -> None:
    assert failure(host, tmp_path, Reply(DATA, piece=10, pause_s=2.0), silence_s=0.1, tries=1).failure is F.TRANSIENT


def test_nothing_answers(host: StandinHost, tmp_path: Path) -> None:
    with running() as gone:
        address = gone.url("/{video_id}.mp4")
    found = HttpSource(url=address).open(means(tmp_path)).fetch(wanted(30))["-bcdefghi_1_000030"]
    assert isinstance(found, Failed)
    assert found.failure is F.TRANSIENT


def test_a_video_s_own_address_is_kept_to_the_hosts_that_were_named(host: StandinHost, tmp_path: Path) -> None:
    url = host.put("/x.mp4", Reply(DATA))
    opened = HttpSource(hosts=("127.0.0.1",)).open(means(tmp_path))
    assert isinstance(opened.fetch(wanted(None, url=url))["-bcdefghi_1"], Found)
    assert opened.fetch(wanted(None))["-bcdefghi_1"] == Absent()
    for bad in (host.url("/x.mp4", host="localhost"), "file:///etc/passwd", "http://[", "http://127.0.0.1:99999/", "x"):
        found = opened.fetch(wanted(None, url=bad))["-bcdefghi_1"]
        assert isinstance(found, Failed)
        assert found.failure is F.DENIED
    assert len(host.asked) == 1


def test_an_id_never_leaves_its_place_in_the_address(host: StandinHost, tmp_path: Path) -> None:
    host.otherwise = lambda _path: Reply(DATA)
    for video_id in ("../../etc/passwd", "a?b=c", "a#b", "a b\r\nX: y", "@evil.example/"):
        video = wanted(None)
        video = type(video)(video.dataset, video_id, video.clips)
        assert isinstance(source(host).open(means(tmp_path)).fetch(video)["-bcdefghi_1"], Found)
    assert all(
        asked.path.count("/") == 1 and "?" not in asked.path and "x" not in asked.headers for asked in host.asked
    )


def test_nothing_is_fetched_before_terms_are_accepted(host: StandinHost, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"accept_terms is false; the terms: https://owner\.example/terms"):
        source(host, terms="https://owner.example/terms").open(means(tmp_path))
    source(host, terms="https://owner.example/terms", accept_terms=True).open(means(tmp_path)).close()
    assert host.asked == []


@pytest.mark.parametrize(
    "url",
    ["ftp://h/{video_id}", "https://h/no-id.mp4", "https://{video_id}/x", "https://h/{video_id}{0}", "https:///x"],
)
def test_an_address_that_is_none_is_refused_by_its_config(url: str) -> None:
    with pytest.raises(ValidationError, match="url should"):
        HttpSource(url=url)
    with pytest.raises(ValidationError, match="url or hosts"):
        HttpSource()
