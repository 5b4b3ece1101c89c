"""YouTube, by yt-dlp: a short video whole and once for all its clips, of a long one the seconds of each clip."""

from __future__ import annotations

import re
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import field_validator
from typing_extensions import override

from uniform_core.errors import ConfigError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.gate import asked
from uniform_core.fetching.outcome import Absent, Deferred, Failed, FoundVideo, Outcome
from uniform_core.fetching.policies import POLICIES
from uniform_core.fetching.sources.base import Means, SourceConfig
from uniform_core.fetching.wanted import WantedClip, WantedVideo
from uniform_core.fetching.ytdlp.options import Bounds, options
from uniform_core.fetching.ytdlp.process import Looked, Ytdlp, YtdlpProcess
from uniform_core.fetching.ytdlp.tools import Tools, find_tools
from uniform_core.files import is_inside, storage_error
from uniform_core.settings import web_address_mistake
from uniform_core.types import Count, NonNegative, PositiveFloat

WATCH_URL: Final = "https://www.youtube.com/watch?v="
_ID: Final = re.compile(r"[A-Za-z0-9_-]{11}")
MARGIN_S: Final = 1.0  # of a section on both sides: the exact cut is made here, from what came


class YoutubeSource(SourceConfig):
    """YouTube. `cookies` is a file in Netscape's form, of a session that may see more; it is read, never written.

    A video of at most `whole_s` is got whole. `watch_url` is what an id is put behind.
    """

    kind: Literal["youtube"] = "youtube"
    whole_s: PositiveFloat = 300.0
    cookies: Path | None = None
    watch_url: str = WATCH_URL
    most_bytes: Count = 512 << 20
    silence_s: PositiveFloat = 30.0
    retries: NonNegative = 3
    most_look_s: PositiveFloat = 180.0
    most_get_s: PositiveFloat = 900.0

    @field_validator("watch_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        mistake = web_address_mistake(value)
        if mistake is not None:
            raise ValueError(mistake)
        return value

    @override
    def open(self, means: Means) -> OpenYoutube:
        """The source, ready. Raises ConfigError where a tool or the file of cookies is missing."""
        tools = find_tools()
        process = YtdlpProcess(
            ffmpeg=tools.ffmpeg, most_bytes=self.most_bytes, look_s=self.most_look_s, get_s=self.most_get_s
        )
        return OpenYoutube(self, means, tools, process)


class OpenYoutube:
    """The source in a worker, with yt-dlp behind a border."""

    def __init__(self, config: YoutubeSource, means: Means, tools: Tools, ytdlp: Ytdlp) -> None:
        self._config, self._means, self._tools, self._ytdlp = config, means, tools, ytdlp
        self._host = urlsplit(config.watch_url).hostname or ""
        self._cookies = None if config.cookies is None else _copy_of(config.cookies, means.scratch)

    def fetch(self, video: WantedVideo) -> dict[str, Outcome]:
        if not _ID.fullmatch(video.video_id):
            return {clip.source_id: Absent() for clip in video.clips}
        url = f"{self._config.watch_url}{video.video_id}"
        looked = self._look(url)
        if isinstance(looked, Looked):
            looked = _refused(looked) or looked
        if not isinstance(looked, Looked):
            return {clip.source_id: looked for clip in video.clips}
        outcomes: dict[str, Outcome] = {}
        wanted = []
        for clip in video.clips:
            late = _begins_too_late(clip, looked)
            if late is None:
                wanted.append(clip)
            else:
                outcomes[clip.source_id] = late
        return outcomes | self._parts(url, looked, wanted)

    def close(self) -> None:
        self._ytdlp.close()
        if self._cookies is not None:
            self._cookies.unlink(missing_ok=True)

    def _look(self, url: str) -> Looked | Failed | Deferred:
        def request() -> Looked | Failed:
            found = self._ytdlp.look(url, self._options(self._means.scratch))
            if isinstance(found, Failed) and found.failure is FailureClass.EXPIRED_URL:
                return replace(found, failure=FailureClass.TRANSIENT)  # nothing was given that could have expired
            return found

        return asked(self._means.gate, self._host, request)

    def _parts(self, url: str, looked: Looked, clips: list[WantedClip]) -> dict[str, Outcome]:
        """What the clips are to be cut from: one file for all of them, or one for each."""
        is_whole = looked.duration_s is not None and looked.duration_s <= self._config.whole_s
        if not clips:
            return {}
        if is_whole or any(clip.span is None for clip in clips):
            found = self._got(url, looked, None)
            return {clip.source_id: _found(found, url, 0.0) for clip in clips}
        outcomes: dict[str, Outcome] = {}
        for clip in clips:
            assert clip.span is not None  # looked at above
            start_s = max(0.0, clip.span.start_s - MARGIN_S)
            found = self._got(url, looked, (start_s, clip.span.end_s + MARGIN_S))
            outcomes[clip.source_id] = _found(found, url, start_s)
        return outcomes

    def _got(self, url: str, looked: Looked, section: tuple[float, float] | None) -> Path | Failed | Deferred:
        """The file; an address that has expired is asked for anew, once."""
        found = self._get(url, looked, section)
        if isinstance(found, Failed) and found.failure is FailureClass.EXPIRED_URL:
            again = self._look(url)
            if not isinstance(again, Looked):
                return again
            found = self._get(url, again, section)
        return found

    def _get(self, url: str, looked: Looked, section: tuple[float, float] | None) -> Path | Failed | Deferred:
        host = urlsplit(looked.media_url).hostname or self._host
        folder = self._means.scratch / f"youtube-{uuid.uuid4().hex}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise storage_error(str(folder), error) from error

        def request() -> Path | Failed:
            found = self._ytdlp.get(url, self._options(folder), folder, section)
            if isinstance(found, Failed) and host != self._host and POLICIES[found.failure].closes_host:
                self._means.gate.tell(self._host, found)  # a wall is about us, whichever of its hosts shows it
            return found

        found = asked(self._means.gate, host, request)
        if isinstance(found, Path):
            if is_inside(found, folder) and found.is_file() and found.stat().st_size:
                return found
            found = Failed(FailureClass.BAD_MEDIA, "a video expected, an empty file or none came")
        shutil.rmtree(folder, ignore_errors=True)
        return found

    def _options(self, folder: Path) -> dict[str, Any]:
        config = self._config
        return options(
            Bounds(config.most_bytes, config.silence_s, config.retries),
            js_runtime=self._tools.js_runtime,
            ffmpeg=self._tools.ffmpeg,
            folder=folder,
            cache=self._means.cache_dir / "yt-dlp",
            is_youtube=config.watch_url == WATCH_URL,
            cookies=self._cookies,
        )


def _refused(looked: Looked) -> Failed | None:
    """Why what is there is no video to get now."""
    if looked.is_live:
        return Failed(FailureClass.FUTURE, "a video expected, a live event found that has not begun or not ended")
    if not looked.is_video:
        return Failed(FailureClass.BAD_MEDIA, "a video expected, a list of them or none found")
    return None


def _begins_too_late(clip: WantedClip, looked: Looked) -> Failed | None:
    """Whether a clip begins after its video ends, by more than the whole seconds in which that is told."""
    if clip.span is None or looked.duration_s is None or clip.span.start_s < looked.duration_s:
        return None
    said = f"a video longer than {clip.span.start_s:g} s expected, one of {looked.duration_s:g} s found"
    return Failed(FailureClass.RANGE, said)


def _found(found: Path | Failed | Deferred, origin: str, starts_at_s: float) -> Outcome:
    return FoundVideo(found, origin, starts_at_s) if isinstance(found, Path) else found


def _copy_of(cookies: Path, scratch: Path) -> Path:
    """A copy for yt-dlp, which writes to what it is given. Raises ConfigError where there is none to copy."""
    copy = scratch / f"cookies-{uuid.uuid4().hex}.txt"
    try:
        text = cookies.expanduser().read_bytes()
    except (OSError, RuntimeError) as error:
        found = getattr(error, "strerror", None) or str(error)
        item = f"source youtube: cookies {cookies}"
        raise ConfigError(item, expected="a file that can be read", found=found, fix="Correct the path.") from error
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch(mode=0o600)
        copy.write_bytes(text)
    except OSError as error:
        raise storage_error(str(copy), error) from error
    return copy
