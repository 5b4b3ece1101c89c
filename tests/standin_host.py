"""A host of videos on this machine that behaves as the real ones do: a script of replies for each path, and a log.

    with running() as host:
        host.replies["/a.mp4"] = [Reply(status=429, retry_after="60"), Reply(data)]

Each request takes the next reply of its path; the last one stays.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PAGE = b"<!DOCTYPE html><html><body>Before you continue</body></html>"


@dataclass(frozen=True)
class Reply:
    """One answer. `data` is the whole file, of which a range is sent where one is asked for and `ranges` says so."""

    data: bytes = b""
    status: int = 200
    kind: str = "video/mp4"
    length: int | str | None = None  # what Content-Length says, where that is not true
    etag: str | None = '"one"'
    modified: datetime | None = None  # what Last-Modified says, to the second
    heeds_mark: bool = True  # whether If-Range is looked at
    ranges: bool = True
    cut_after: int | None = None  # the connection ends after so many bytes
    pause_s: float = 0.0  # between pieces
    piece: int = 1 << 16
    retry_after: str | None = None
    location: str | None = None
    phrase: str | None = None  # what stands behind the status

    @property
    def modified_words(self) -> str | None:
        """The header of `modified`."""
        return None if self.modified is None else format_datetime(self.modified, usegmt=True)


@dataclass(frozen=True)
class Asked:
    """One request: when it came, for what, from which byte on."""

    at_s: float
    path: str
    start: int
    headers: dict[str, str] = field(hash=False)
    body: bytes = b""


class StandinHost(ThreadingHTTPServer):
    """Serves `replies` by their path, and keeps what was `asked`. A path without replies is 404."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: dict[str, list[Reply]] = {}
        self.otherwise: Callable[[str], Reply] = lambda _path: Reply(status=404)
        self.answers: dict[str, Callable[[Asked], Reply]] = {}  # for paths whose reply is of what was asked
        self.asked: list[Asked] = []
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed or gave up are what these tests are about."""

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"

    def put(self, path: str, *replies: Reply) -> str:
        """The address of a path that now has these replies."""
        self.replies[path] = list(replies)
        return self.url(path)

    def count(self) -> Counter[str]:
        """How many requests came for each path."""
        with self.lock:
            return Counter(asked.path for asked in self.asked)

    def next_reply(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked.append(asked)
            script = self.replies.get(asked.path)
            if not script:
                answer = self.answers.get(asked.path)
                return self.otherwise(asked.path) if answer is None else answer(asked)
            return script.pop(0) if len(script) > 1 else script[0]


class _Handler(BaseHTTPRequestHandler):
    server: StandinHost
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing: the tests read `asked`."""

    def do_HEAD(self) -> None:
        self._answer(is_head=True)

    def do_GET(self) -> None:
        self._answer(is_head=False)

    def do_POST(self) -> None:
        self._answer(is_head=False, body=self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, *, is_head: bool, body: bytes = b"") -> None:
        wanted = self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").partition("-")[0] or 0) if wanted else 0
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.next_reply(Asked(time.monotonic(), self.path, start, headers, body))
        self.close_connection = True
        if reply.status != 200:
            self._begin(reply, reply.status, length=len(reply.data))
            if not is_head:
                self.wfile.write(reply.data)
            return
        is_same = not reply.heeds_mark or self.headers.get("If-Range") in (None, reply.etag, reply.modified_words)
        is_part = bool(wanted) and reply.ranges and is_same
        if is_part and start >= len(reply.data):
            self._begin(reply, 416, length=0, content_range=f"bytes */{len(reply.data)}")
            return
        rest = reply.data[start:] if is_part else reply.data
        said = f"bytes {start}-{len(reply.data) - 1}/{len(reply.data)}" if is_part else None
        length = len(rest) if reply.length is None else reply.length
        self._begin(reply, 206 if is_part else 200, length=length, content_range=said)
        if not is_head:
            self._send(reply, rest[: reply.cut_after])

    def _begin(self, reply: Reply, status: int, *, length: int | str, content_range: str | None = None) -> None:
        self.send_response(status, reply.phrase)
        more = {"Location": reply.location, "Retry-After": reply.retry_after, "Content-Range": content_range}
        if status in (200, 206):
            more |= {
                "ETag": reply.etag,
                "Last-Modified": reply.modified_words,
                "Accept-Ranges": "bytes" if reply.ranges else None,
            }
        for name, value in {"Content-Type": reply.kind, "Content-Length": str(length), **more}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def _send(self, reply: Reply, data: bytes) -> None:
        for begin in range(0, len(data), reply.piece):
            self.wfile.write(data[begin : begin + reply.piece])
            self.wfile.flush()
            time.sleep(reply.pause_s)


@contextmanager
def running() -> Iterator[StandinHost]:
    """A host that runs while the block does."""
    server = StandinHost()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@cache
def video(duration_s: float = 3.0) -> bytes:
    """A real small mp4 with picture and sound."""
    from media_files import write

    with TemporaryDirectory() as folder:
        return write(Path(folder, "v.mp4"), duration_s=duration_s, faststart=True).read_bytes()


def expired_after(data: bytes, *, sent: int) -> Sequence[Reply]:
    """The replies of an address that expires within the file: a part of it, and then no more."""
    return Reply(data, cut_after=sent), Reply(status=403, kind="text/plain")
