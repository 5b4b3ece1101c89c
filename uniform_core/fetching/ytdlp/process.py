"""The parent's end of the process in which yt-dlp runs: a question, an answer, a deadline."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from uniform_core.errors import StorageError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Failed
from uniform_core.media.process import KEPT_VARIABLES, WorkerLostError, WorkerProcess

PROXY_VARIABLES: Final = (
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)
MOST_MESSAGE_BYTES: Final = 1 << 20
REQUESTS: Final = 500  # after so many a fresh process: whatever a library keeps is let go
SPARE_BYTES: Final = 64 << 20  # what a file may be longer than what was asked for: two streams become one


@dataclass(frozen=True)
class Looked:
    """What yt-dlp says of a video before it is got. `media_url` is where its bytes would come from."""

    is_video: bool
    is_live: bool
    duration_s: float | None
    media_url: str
    format: str


class Ytdlp(Protocol):
    """Who looks at a video and gets it. Raises StorageError where the disk is full."""

    def look(self, url: str, options: Mapping[str, Any]) -> Looked | Failed:
        """What there is."""

    def get(
        self, url: str, options: Mapping[str, Any], folder: Path, section: tuple[float, float] | None
    ) -> Path | Failed:
        """The file of the video that was looked at last, or of seconds of it, in the folder of the options."""

    def close(self) -> None:
        """End what runs."""


class YtdlpProcess:
    """yt-dlp in a child process, started when it is first needed, and again after a crash or a deadline."""

    def __init__(self, *, ffmpeg: Path, most_bytes: int, look_s: float, get_s: float) -> None:
        self._ffmpeg, self._most_bytes, self._look_s, self._get_s = ffmpeg, most_bytes, look_s, get_s
        self._process: WorkerProcess | None = None
        self._served = 0

    def look(self, url: str, options: Mapping[str, Any]) -> Looked | Failed:
        if self._served >= REQUESTS:
            self.close()
        found = self._ask({"kind": "look", "url": url, "options": options}, wait_s=self._look_s)
        return found if isinstance(found, Failed) else Looked(**found)

    def get(
        self, url: str, options: Mapping[str, Any], folder: Path, section: tuple[float, float] | None
    ) -> Path | Failed:
        request = {"kind": "get", "url": url, "options": options, "folder": str(folder), "section": section}
        found = self._ask(request, wait_s=self._get_s)
        return found if isinstance(found, Failed) else Path(found["path"])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._served = 0

    def _ask(self, request: dict[str, Any], *, wait_s: float) -> dict[str, Any] | Failed:
        """What was answered; a process that is lost is a failure that may pass. Raises StorageError."""
        self._served += 1
        try:
            process = self._ready()
            process.send(request)
            answer = process.receive(wait_s)
        except WorkerLostError as lost:
            self.close()
            return Failed(FailureClass.TRANSIENT, f"yt-dlp: {lost.message}")
        return read_answer(answer)

    def _ready(self) -> WorkerProcess:
        if self._process is not None and not self._process.alive:
            self.close()
        if self._process is None:
            module, most_bytes = "uniform_core.fetching.ytdlp.child", self._most_bytes + SPARE_BYTES
            words = [str(most_bytes), str(os.getpid()), str(self._ffmpeg)]
            self._process = WorkerProcess(
                [sys.executable, "-P", "-m", module, *words],
                max_message_bytes=MOST_MESSAGE_BYTES,
                what="yt-dlp",
                by_hand=f"python -m {module} {most_bytes} $$ {self._ffmpeg}",
                kept=(*KEPT_VARIABLES, *PROXY_VARIABLES),
                leads_group=True,
            )
        return self._process


def read_answer(answer: Mapping[str, Any]) -> dict[str, Any] | Failed:
    """What an answer of the child says, without its kind. Raises StorageError where the disk is full."""
    facts = dict(answer)
    kind = facts.pop("kind")
    if kind == "full":
        fix = "Make room, or set UNIFORM_HOME to a larger disk."
        raise StorageError("yt-dlp", expected="room for a video", found=facts["message"], fix=fix)
    if kind == "failed":
        return Failed(FailureClass(facts.pop("failure")), **facts)
    return facts
