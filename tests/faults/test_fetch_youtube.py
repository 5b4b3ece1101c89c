"""YouTube through yt-dlp: its own exceptions with YouTube's messages, its own process, and a real fetch on loopback."""

from __future__ import annotations

import errno
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import psutil
import pytest
from fetch_doubles import ID, NotingGate, files_outside, means, wanted
from media_files import read_number
from standin_host import PAGE, Reply, StandinHost, running, video
from yt_dlp import YoutubeDL
from yt_dlp.networking import Response
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import (
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    PostProcessingError,
    UnavailableVideoError,
)

from uniform_core.errors import ConfigError, StorageError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Absent, Deferred, Failed, FoundVideo, Outcome
from uniform_core.fetching.sources import YoutubeSource
from uniform_core.fetching.sources.youtube import OpenYoutube
from uniform_core.fetching.ytdlp import tools as tools_module
from uniform_core.fetching.ytdlp.child import Answerer
from uniform_core.fetching.ytdlp.failures import of_youtube
from uniform_core.fetching.ytdlp.options import FORMAT
from uniform_core.fetching.ytdlp.process import Looked, YtdlpProcess, read_answer
from uniform_core.fetching.ytdlp.tools import Tools, find_tools

F = FailureClass
TOOLS = Tools(Path("/tools/deno"), Path("/tools/ffmpeg"))
INFO = {"id": ID, "duration": 120, "url": "https://rr1.googlevideo.com/v?sig=x", "format_id": "18", "ext": "mp4"}


class FakeYoutubeDL:
    """Does what yt-dlp does at its border, by a script: what each look and each get gives, or raises."""

    def __init__(self) -> None:
        self.looks: list[Any] = [INFO]
        self.gets: list[Any] = [b"media"]
        self.made: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def __call__(self, options: dict[str, Any]) -> FakeYoutubeDL:
        self.made.append(options)
        return self

    def __enter__(self) -> FakeYoutubeDL:
        return self

    def __exit__(self, *_given: object) -> None:
        """Nothing is held."""

    def extract_info(self, url: str, *, download: bool) -> dict[str, Any]:
        assert not download
        self.asked.append(url)
        return dict(self._next(self.looks))

    def sanitize_info(self, info: dict[str, Any], *, remove_private_keys: bool) -> dict[str, Any]:
        assert remove_private_keys
        return dict(info)

    def process_ie_result(self, info: dict[str, Any], *, download: bool) -> None:
        assert download
        self.asked.append("get")
        data = self._next(self.gets)
        if data is not None:
            Path(self.made[-1]["outtmpl"]["default"].replace("%(ext)s", info["ext"]).replace("%%", "%")).write_bytes(
                data
            )

    def _next(self, script: list[Any]) -> Any:
        step = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            step(self.made[-1]["logger"])
            return None
        return step


class InProcess:
    """yt-dlp's end without the process: the same answers, by the same code."""

    def __init__(self, make: Callable[[dict[str, Any]], Any]) -> None:
        self._answerer = Answerer(make)

    def look(self, url: str, options: Mapping[str, Any]) -> Looked | Failed:
        found = self._asked(kind="look", url=url, options=options)
        return found if isinstance(found, Failed) else Looked(**found)

    def get(
        self, url: str, options: Mapping[str, Any], folder: Path, section: tuple[float, float] | None
    ) -> Path | Failed:
        found = self._asked(kind="get", url=url, options=options, folder=str(folder), section=section)
        return found if isinstance(found, Failed) else Path(found["path"])

    def close(self) -> None:
        """Nothing runs."""

    def _asked(self, **request: Any) -> dict[str, Any] | Failed:
        request = json.loads(json.dumps(request))  # what a pipe can carry
        return read_answer(json.loads(json.dumps(self._answerer.answer(request))))


@pytest.fixture
def fake() -> FakeYoutubeDL:
    return FakeYoutubeDL()


def opened(fake: FakeYoutubeDL, folder: Path, gate: NotingGate | None = None, **more: Any) -> OpenYoutube:
    return OpenYoutube(YoutubeSource(**more), means(folder, gate), TOOLS, InProcess(fake))


def one(fake: FakeYoutubeDL, folder: Path, gate: NotingGate | None = None) -> Outcome:
    return opened(fake, folder, gate).fetch(wanted(30))[f"{ID}_000030"]


def raised(inner: BaseException, outer: str | None = None) -> DownloadError:
    """What YoutubeDL raises: the inner exception in `exc_info`, its message behind ERROR:."""
    return DownloadError(f"ERROR: [youtube] {ID}: {outer or inner}", (type(inner), inner, None))


def http_error(status: int, **headers: str) -> HTTPError:
    return HTTPError(Response(io.BytesIO(b""), url="https://h.example/v", headers=headers, status=status))


YOUTUBE_SAYS = {
    "Video unavailable. This video has been removed by the uploader": F.DEAD,
    "Private video. Sign in if you've been granted access to this video": F.PRIVATE,
    "Sign in to confirm your age. This video may be inappropriate for some users.": F.AGE,
    "Join this channel to get access to members-only content like this video": F.ACCESS,
    "Premieres in 3 hours": F.FUTURE,
    "Requested format is not available. Use --list-formats for a list of available formats": F.NO_FORMAT,
}


@pytest.mark.parametrize("message", YOUTUBE_SAYS)
def test_what_youtube_says_in_yt_dlp_s_own_exception(message: str, fake: FakeYoutubeDL, tmp_path: Path) -> None:
    fake.looks = [raised(ExtractorError(message, expected=True, video_id=ID, ie="youtube"))]
    gate = NotingGate()
    found = one(fake, tmp_path, gate)
    assert isinstance(found, Failed)
    assert (found.failure, message[:20] in found.message) == (YOUTUBE_SAYS[message], True)
    assert gate.asked == ["www.youtube.com"]
    assert gate.told == [("www.youtube.com", found)]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (GeoRestrictedError("The uploader said so", countries=["DE"]), F.GEO),
        (TransportError(cause=TimeoutError("timed out")), F.TRANSIENT),
        (TransportError("an odd cable"), F.TRANSIENT),
        (IncompleteRead(5, 10), F.TRANSIENT),
        (http_error(503, **{"Retry-After": "60"}), F.TRANSIENT),
        (http_error(404), F.DEAD),
        (http_error(403), F.EXPIRED_URL),
        (http_error(418), F.DENIED),
        (UnavailableVideoError(OSError("odd")), F.TRANSIENT),
        (PostProcessingError("odd"), F.BAD_MEDIA),
        (ExtractorError("Cannot identify player"), F.TRANSIENT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_yt_dlp_s_exceptions_are(inner: Exception, expected: FailureClass) -> None:
    found = of_youtube(raised(inner, "it did not work"))
    assert found.failure is expected
    assert found.http_status == (inner.status if isinstance(inner, HTTPError) else None)
    assert found.retry_after_s == (60.0 if found.http_status == 503 else None)
    wrapped = ExtractorError("it did not work", cause=inner, expected=True)
    assert of_youtube(raised(wrapped)).failure is expected, "however deep it lies"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "60"}, 60.0),
        ({"Retry-After": "Wed, 21 Oct 2026 09:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 7200.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 09:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 09:28:00 GMT"}, None),
        ({"Retry-After": "Wed, 99 Foo 99999 99:99:99 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({}, None),
    ],
    ids=["seconds", "a moment", "a moment that was", "a moment of no day", "no moment", "for ever", "nothing"],
)
def test_how_long_youtube_asks_to_be_left_alone(headers: dict[str, str], wait_s: float | None) -> None:
    found = of_youtube(raised(http_error(429, **headers), "it did not work"))
    assert (found.failure, found.retry_after_s) == (F.BOTWALL, wait_s)


def test_what_nobody_has_seen_is_never_dead_and_says_so() -> None:
    found = of_youtube(raised(ExtractorError("The moon is in the wrong house")))
    assert found.failure is F.TRANSIENT
    assert found.message.startswith("unknown: [youtube]")
    assert "moon is in the wrong house" in found.message


def test_what_its_programs_say_tells_more_than_their_exit() -> None:
    error = raised(Exception("ffmpeg exited with code 8"))
    said = ["[download] Destination: x", "[https @ 0x1] HTTP error 403 Forbidden"]
    assert of_youtube(error, said).failure is F.EXPIRED_URL
    assert "HTTP error 403" in of_youtube(error, said).message
    assert of_youtube(error, said[:1]).failure is F.BAD_MEDIA
    dead = raised(ExtractorError("Video unavailable", expected=True))
    assert of_youtube(dead, ["No supported JavaScript runtime could be found"]).failure is F.DEAD


def test_a_video_without_a_format_is_told_from_a_set_up_or_a_host_that_gives_none() -> None:
    error = raised(ExtractorError("Requested format is not available", expected=True, video_id=ID, ie="youtube"))
    images = "Only images are available for download. use --list-formats to see them"
    said = ["[youtube] Unable to download a player: HTTP Error 403: Forbidden", images]
    assert of_youtube(error, said).failure is F.NO_FORMAT, "one of the players may not answer"
    runtime = of_youtube(error, [*said, "No supported JavaScript runtime could be found"])
    assert (runtime.failure, "JavaScript runtime" in runtime.message) == (F.CONFIG, True)
    wall = of_youtube(error, [*said, "Sign in to confirm you’re not a bot"])
    assert wall.failure is F.BOTWALL


@pytest.mark.parametrize(
    ("message", "failure"),
    [
        ("Sign in to confirm you’re not a bot", F.BOTWALL),
        ("Unable to download API page: HTTP Error 429: Too Many Requests", F.BOTWALL),
        ("Video unavailable. This content isn't available, try again later. The current session has been rate-limited "
         "by YouTube for up to an hour", F.RATE_LIMIT),
    ],
)  # fmt: skip
def test_a_wall_gives_every_clip_back_and_is_told(
    message: str, failure: FailureClass, fake: FakeYoutubeDL, tmp_path: Path
) -> None:
    fake.looks = [raised(ExtractorError(message, expected=True))]
    gate = NotingGate()
    source = opened(fake, tmp_path, gate)
    for _ in range(2):
        assert all(isinstance(found, Deferred) for found in source.fetch(wanted(30, 60)).values())
    assert [told.failure for _, told in gate.told if told] == [failure]
    assert len(fake.asked) == 1, "nobody asks a closed host"


def test_a_wall_of_the_media_host_closes_youtube_too(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    fake.gets = [raised(http_error(429))]
    gate = NotingGate()
    assert isinstance(one(fake, tmp_path, gate), Deferred)
    assert gate.closed == {"rr1.googlevideo.com", "www.youtube.com"}


def test_a_short_video_is_got_once_for_all_its_clips(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    gate = NotingGate()
    outcomes = opened(fake, tmp_path, gate).fetch(wanted(0, 30, 60))
    found = {outcome for outcome in outcomes.values() if isinstance(outcome, FoundVideo)}
    assert len(outcomes) == 3
    assert [(one.path.read_bytes(), one.starts_at_s) for one in found] == [(b"media", 0.0)]
    assert fake.asked == [f"https://www.youtube.com/watch?v={ID}", "get"]
    assert gate.asked == ["www.youtube.com", "rr1.googlevideo.com"]
    assert gate.told == [("www.youtube.com", None), ("rr1.googlevideo.com", None)]
    assert next(iter(found)).origin == fake.asked[0]


def test_of_a_long_video_each_clip_s_seconds_are_got(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    fake.looks = [{**INFO, "duration": 3600}]
    outcomes = opened(fake, tmp_path).fetch(wanted(0, 1200))
    starts = {name: found.starts_at_s for name, found in outcomes.items() if isinstance(found, FoundVideo)}
    assert starts == {f"{ID}_000000": 0.0, f"{ID}_001200": 1199.0}
    ranges = [made["download_ranges"](None, None) for made in fake.made if "download_ranges" in made]
    assert ranges == [[{"start_time": 0.0, "end_time": 11.0}], [{"start_time": 1199.0, "end_time": 1211.0}]]
    assert all(made["force_keyframes_at_cuts"] for made in fake.made if "download_ranges" in made)


def test_a_clip_behind_the_end_is_out_of_range_and_the_others_are_got(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    outcomes = opened(fake, tmp_path).fetch(wanted(30, 120, 500))
    kinds = [found.failure if isinstance(found, Failed) else "found" for found in map(outcomes.get, sorted(outcomes))]
    assert kinds == ["found", F.RANGE, F.RANGE]
    assert opened(fake, tmp_path).fetch(wanted(500)).keys() == {f"{ID}_000500"}
    assert fake.asked.count("get") == 1, "nothing is got for nobody"


@pytest.mark.parametrize(
    ("info", "failure"),
    [
        ({**INFO, "live_status": "is_upcoming"}, F.FUTURE),
        ({**INFO, "live_status": "is_live"}, F.FUTURE),
        ({"_type": "playlist", "id": ID, "entries": []}, F.BAD_MEDIA),
        ({}, F.BAD_MEDIA),
    ],
)
def test_what_is_no_video_to_get_now(info: dict[str, Any], failure: F, fake: FakeYoutubeDL, tmp_path: Path) -> None:
    fake.looks = [info]
    found = one(fake, tmp_path)
    assert isinstance(found, Failed)
    assert found.failure is failure


def test_an_expired_address_is_looked_for_anew_once(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    fake.gets = [raised(http_error(403)), b"media"]
    gate = NotingGate()
    assert isinstance(one(fake, tmp_path, gate), FoundVideo)
    assert gate.asked == ["www.youtube.com", "rr1.googlevideo.com"] * 2
    fake.gets = [raised(http_error(403))]
    found = one(fake, tmp_path)
    assert isinstance(found, Failed)
    assert found.failure is F.EXPIRED_URL
    assert fake.asked.count("get") == 4


def test_a_refusal_before_anything_was_given_may_pass(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    """A blocked address of ours gets 403 for every video; none of them has expired, or is lost."""
    fake.looks = [raised(ExtractorError("Unable to download API page", cause=http_error(403)))]
    gate = NotingGate()
    found = one(fake, tmp_path, gate)
    assert isinstance(found, Failed)
    assert (found.failure, found.http_status) == (F.TRANSIENT, 403)
    assert gate.asked == ["www.youtube.com"], "nothing is asked for anew"
    assert gate.told == [("www.youtube.com", found)]


def of_size(name: str, height: int | None, *, video: str = "avc1.4d401e", sound: str = "none", ext: str = "mp4") -> Any:
    """A format as yt-dlp lists it."""
    words = {"format_id": name, "height": height, "vcodec": video, "acodec": sound, "ext": ext}
    return {**words, "url": f"https://h.example/{name}", "protocol": "https"}


SOUND = of_size("140", None, video="none", sound="mp4a.40.2", ext="m4a")


@pytest.mark.parametrize(
    ("formats", "chosen"),
    [
        ([SOUND, of_size("134", 360), of_size("18", 360, sound="mp4a.40.2"), of_size("137", 1080)], "18"),
        ([SOUND, of_size("133", 240), of_size("134", 360), of_size("137", 1080)], "134+140"),
        ([SOUND, of_size("243", 360, video="vp9", ext="webm"), of_size("135", 480)], "243+140"),
        ([of_size("17", 144, sound="mp4a.40.2", ext="3gp"), of_size("22", 720, sound="mp4a.40.2")], "17"),
        ([SOUND, of_size("136", 720), of_size("137", 1080)], "136+140"),
        ([of_size("22", 720, sound="mp4a.40.2"), of_size("37", 1080, sound="mp4a.40.2")], "22"),
        ([of_size("0", None, sound="mp4a.40.2")], "0"),
        ([of_size("sb0", 90, video="none", ext="mhtml")], None),
    ],
)
def test_at_most_360_lines_are_got_or_the_smallest_there_is(formats: list[Any], chosen: str | None) -> None:
    with YoutubeDL({"format": FORMAT, "quiet": True}) as made:
        context = {"formats": formats, "has_merged_format": True, "incomplete_formats": False}
        found = list(made.build_format_selector(FORMAT)(context))
    assert [one["format_id"] for one in found] == ([] if chosen is None else [chosen])


def test_nothing_came_or_too_much(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    for step, failure in (
        (b"", F.BAD_MEDIA),
        (lambda log: log.debug("[download] File is larger than max-filesize (9 > 1). Aborting."), F.TOO_LARGE),
        (lambda log: log.debug("[download] Something odd"), F.TRANSIENT),
        (raised(Exception("ffmpeg exited with code 1")), F.BAD_MEDIA),
    ):
        fake.gets = [step]
        found = one(fake, tmp_path)
        assert isinstance(found, Failed)
        assert found.failure is failure
    assert list((tmp_path / "scratch").iterdir()) == [], "nothing of it is left"


def test_a_full_disk_is_no_video_s_fault(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    fake.gets = [raised(UnavailableVideoError(OSError(errno.ENOSPC, "No space left on device")))]
    fake.gets[0].exc_info[1].__cause__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageError, match="room for a video"):
        one(fake, tmp_path)


@pytest.mark.parametrize(
    "video_id", ["", "short", "../../../../x", "a b c d e f", "-bcdefghi_1&list=PL1", "ytsearch:xx"]
)
def test_an_id_that_youtube_cannot_have_is_not_asked_for(video_id: str, fake: FakeYoutubeDL, tmp_path: Path) -> None:
    video = wanted(30)
    video = type(video)(video.dataset, video_id, video.clips)
    assert opened(fake, tmp_path).fetch(video) == {f"{ID}_000030": Absent()}
    assert fake.asked == []


def test_the_options_bound_what_it_does(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    one(fake, tmp_path / "50%(title)s")
    for made in fake.made:
        assert made["format"] == FORMAT
        assert made["js_runtimes"] == {"deno": {"path": "/tools/deno"}}
        assert made["ffmpeg_location"] == "/tools/ffmpeg"
        assert made["allowed_extractors"] == ["youtube"]
        assert made["max_filesize"] == 512 << 20
        assert "download_archive" not in made
        assert made["cookiefile"] is None
    assert fake.made[-1]["outtmpl"]["default"].startswith(str(tmp_path).replace("%", "%%") + "/50%%(title)s/")
    with YoutubeDL({"format": FORMAT, "quiet": True}) as made:
        assert callable(made.build_format_selector(FORMAT)), "the package knows the words"


def test_cookies_are_read_and_never_written(fake: FakeYoutubeDL, tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n")
    source = opened(fake, tmp_path, cookies=cookies)
    source.fetch(wanted(30))
    copy = Path(fake.made[0]["cookiefile"])
    assert copy != cookies
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == (cookies.read_text(), 0o600)
    source.close()
    assert not copy.exists()
    with pytest.raises(ConfigError, match=r"cookies .*No such file"):
        opened(fake, tmp_path, cookies=tmp_path / "none.txt")


def test_a_tool_that_is_missing_stops_the_run_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert os.access(find_tools().ffmpeg, os.X_OK)
    for module, name in (("deno", "find_deno_bin"), ("imageio_ffmpeg", "get_ffmpeg_exe")):
        for broken in (lambda: str(tmp_path / "none"), lambda: (_ for _ in ()).throw(RuntimeError("no exe"))):
            with monkeypatch.context() as patch:
                patch.setattr(f"{module}.{name}", broken)
                with pytest.raises(ConfigError, match=r"pip install 'yt-dlp\[default,deno\]' imageio-ffmpeg"):
                    YoutubeSource().open(means(tmp_path))
    for missing in ("yt_dlp", "yt_dlp_ejs"):
        with monkeypatch.context() as patch:
            patch.setattr(
                tools_module.importlib.util, "find_spec", lambda name, gone=missing: None if name == gone else 1
            )
            with pytest.raises(ConfigError, match=f"{missing.replace('_', '-')}.*not installed"):
                find_tools()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandinHost]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    with running() as started:
        yield started


def watched(video_id: str) -> str:
    return f"/watch?v={video_id}"


def test_real_yt_dlp_fetches_a_video_and_its_seconds_from_a_host(host: StandinHost, tmp_path: Path) -> None:
    """Its generic extractor, its own downloader and the ffmpeg of the package, in the process of a run."""
    gate = NotingGate()
    data = video(6.0)
    host.put(watched(ID), Reply(data))
    config = YoutubeSource(watch_url=host.url("/watch?v="), retries=0, silence_s=10.0)
    source = config.open(means(tmp_path, gate))
    try:
        whole = source.fetch(wanted(None))[ID]
        assert isinstance(whole, FoundVideo), whole
        assert whole.path.read_bytes() == data
        parts = source.fetch(wanted(2, long_s=2.0))
        found = parts[f"{ID}_000002"]
        assert isinstance(found, FoundVideo), found
        assert found.starts_at_s == 1.0
        with av.open(str(found.path)) as section:
            shown = [read_number(frame.to_ndarray(format="rgb24")) for frame in section.decode(video=0)]
        assert shown == list(range(25, 125)), "from second 1 to 5, at 25 pictures a second"

        expected = {
            "404": (Reply(status=404), F.DEAD),
            "403": (Reply(status=403), F.TRANSIENT),  # of the first question: nothing has begun
            "503": (Reply(status=503, retry_after="60"), F.TRANSIENT),
            "page": (Reply(PAGE, kind="text/html"), F.BAD_MEDIA),
        }
        for word, (reply, failure) in expected.items():
            name = f"{word:_<11}"
            host.put(watched(name), reply)
            failed = source.fetch(wanted(None, video_id=name))[name]
            assert isinstance(failed, Failed), word
            assert failed.failure is failure, failed
        host.put(watched("429________"), Reply(status=429))
        assert isinstance(source.fetch(wanted(None, video_id="429________"))["429________"], Deferred)
    finally:
        source.close()
    assert [told.failure for _, told in gate.told if told][-1] is F.BOTWALL
    assert files_outside(tmp_path, [tmp_path / "scratch", tmp_path / "cache"]) == set()


def test_what_hangs_is_ended_with_all_that_it_started(host: StandinHost, tmp_path: Path) -> None:
    host.put(watched(ID), Reply(video(6.0), piece=64, pause_s=0.5))
    config = YoutubeSource(watch_url=host.url("/watch?v="), retries=0)
    source = config.open(means(tmp_path))
    tools = find_tools()
    process = YtdlpProcess(ffmpeg=tools.ffmpeg, most_bytes=1 << 20, look_s=60.0, get_s=4.0)
    source._ytdlp = process
    begun = time.monotonic()
    found = source.fetch(wanted(2, long_s=2.0))[f"{ID}_000002"]
    assert isinstance(found, Failed)
    assert found.failure is F.TRANSIENT
    assert "4 s" in found.message
    assert time.monotonic() - begun < 120
    source.close()
    left = [
        one.info for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])
    ]
    assert left == [], "ffmpeg writes below it, whoever its parent is by now"
