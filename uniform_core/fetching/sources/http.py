"""Videos at plain addresses: gone on with where a connection broke, and from no host but those that were named."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, model_validator
from typing_extensions import override

from uniform_core.catalog.fetch_cache import HTTP_PARTS, part_name
from uniform_core.download import Patience, Remote, RemoteError, download, drop
from uniform_core.errors import ConfigError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.gate import asked
from uniform_core.fetching.outcome import Absent, Addresses, Deferred, Failed, Found, FoundVideo, Outcome
from uniform_core.fetching.sources.base import Means, SourceConfig
from uniform_core.fetching.statuses import of_download
from uniform_core.fetching.wanted import WantedVideo
from uniform_core.files import storage_error
from uniform_core.fingerprint import digest
from uniform_core.settings import web_address_mistake
from uniform_core.types import Count, PositiveFloat

MOST_CONNECTIONS: Final = 50  # of one call; the next call goes on where the last of them was
MOST_MISSING: Final = 20
PAUSE_S: Final = 0.5  # before the next connection, doubled with each that brought nothing


class HttpSource(SourceConfig):
    """Videos at `url`, in which `{video_id}` stands for the id; without it each video's own address is used.

    Nothing is asked but `url`'s host and `hosts`, also where a server sends on to another. Where the owner has `terms`,
    nothing is fetched until `accept_terms` says that a person has read them. Where `most_missing` videos in a row are
    not there, and no file ever came from there, the run stops: the address is wrong.
    """

    kind: Literal["http"] = "http"
    url: str | None = None
    hosts: tuple[str, ...] = ()
    terms: str | None = None
    accept_terms: bool = False
    most_bytes: Count = 1 << 30
    most_s: PositiveFloat = 1800.0
    silence_s: PositiveFloat = 30.0
    tries: Count = Field(default=4, le=20)  # connections in a row that brought nothing
    most_missing: Count = Field(default=MOST_MISSING, exclude_if=lambda value: value == MOST_MISSING)

    @model_validator(mode="after")
    def _has_places(self) -> Self:
        if self.url is None:
            if not self.hosts:
                raise ValueError("url or hosts should be given: nothing else may be asked")
            return self
        mistake = web_address_mistake(self.url.replace("{video_id}", "id"))
        if mistake is not None:
            raise ValueError(f"url {mistake}")
        if [name for _, name, _, _ in string.Formatter().parse(self.url) if name is not None] != ["video_id"]:
            raise ValueError("url should have {video_id} once, and no other braces")
        if "{" in (urlsplit(self.url).netloc):
            raise ValueError("url should have {video_id} in its path: an id does not choose the host")
        return self

    @classmethod
    def example(cls) -> HttpSource:
        return cls(url="https://media.example/{video_id}.mp4")

    @override
    def open(self, means: Means) -> OpenHttp:
        """The source, ready. Raises ConfigError where terms were not accepted."""
        if self.terms is not None and not self.accept_terms:
            raise ConfigError(
                f"source {self.url or ', '.join(self.hosts)}",
                expected="that you have read and accept its owner's terms",
                found=f"accept_terms is false; the terms: {self.terms}",
                fix="Read them, then set accept_terms=true where the source is configured.",
            )
        return OpenHttp(self, means)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The hosts that may be asked."""
        own = urlsplit(self.url or "").hostname
        return frozenset(host.lower() for host in (*self.hosts, *([own] if own else ())))


class OpenHttp:
    """The source in a worker."""

    def __init__(self, config: HttpSource, means: Means) -> None:
        self._config, self._means = config, means

    def fetch(self, video: WantedVideo) -> Mapping[str, Outcome]:
        url = self._address(video)
        if url is None:
            return {clip.source_id: Absent() for clip in video.clips}
        host = None if web_address_mistake(url) else urlsplit(url).hostname
        if host is None or host not in self._config.allowed_hosts:
            allowed = ", ".join(sorted(self._config.allowed_hosts))
            failed = Failed(FailureClass.DENIED, f"an address at {allowed} expected, {url[:200]!r} found")
            return {clip.source_id: failed for clip in video.clips}
        name = part_name(video.video_id, digest([video.dataset, url]))
        found = self._got(url, host, name)
        if isinstance(found, Failed) and found.failure is FailureClass.DEAD:
            pattern = self._config.url or f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/"
            found = replace(found, nothing_at=Addresses(pattern, self._config.most_missing))
        if not isinstance(found, Path):
            return {clip.source_id: found for clip in video.clips}
        if len(video.clips) == 1 and video.clips[0].span is None:
            return {video.clips[0].source_id: Found(found, url)}
        return {clip.source_id: FoundVideo(found, url) for clip in video.clips}

    def close(self) -> None:
        """Nothing is held open."""

    def _address(self, video: WantedVideo) -> str | None:
        if self._config.url is None:
            return video.url
        return self._config.url.replace("{video_id}", quote(video.video_id, safe=""))

    def _got(self, url: str, host: str, name: str) -> Path | Failed | Deferred:
        """The whole file under scratch; what is there of it stays in the cache where it did not become whole."""
        part = self._means.cache_dir / HTTP_PARTS / f"{name}.part"
        remote = Remote(url, self._config.most_bytes, hosts=self._config.allowed_hosts)
        left, was_renewed = self._config.tries, False
        answer: Failed | Deferred | None = None
        for _ in range(MOST_CONNECTIONS):
            before = _size_of(part)
            answer = asked(self._means.gate, host, lambda: self._once(remote, part))
            if answer is None:
                return self._settled(part, name)
            if isinstance(answer, Deferred):
                return answer
            if answer.failure is FailureClass.EXPIRED_URL and not was_renewed:
                was_renewed = True
                continue
            if answer.failure not in (FailureClass.TRANSIENT, FailureClass.EXPIRED_URL):
                drop(part)  # what is there was no part of a file that we want
            if answer.failure is not FailureClass.TRANSIENT or answer.retry_after_s is not None:
                return answer
            left = self._config.tries if _size_of(part) > before else left - 1
            if left <= 0:
                return answer
            self._means.sleep(PAUSE_S * 2 ** (self._config.tries - left))
        assert answer is not None  # there was one connection at least
        return answer

    def _once(self, remote: Remote, part: Path) -> Failed | None:
        """One connection; None where the file is whole."""
        patience = Patience(silence_s=self._config.silence_s, tries=1, whole_s=self._config.most_s)
        is_under_way = _size_of(part) > 0
        try:
            download(remote, part, patience=patience)
        except RemoteError as error:
            return of_download(error, is_under_way=is_under_way)
        return None if _size_of(part) else Failed(FailureClass.BAD_MEDIA, "a video expected, an empty file came")

    def _settled(self, part: Path, name: str) -> Path:
        """The file that came, under scratch. Raises StorageError."""
        path = self._means.scratch / f"{name}.video"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
        except OSError as error:
            raise storage_error(str(path), error) from error
        drop(part)
        return path


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
