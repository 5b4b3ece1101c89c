"""What a page on this machine may ask of this process, and how it is answered: loopback, read only, bounded.

Captions come from strangers, and so may requests: any site that is open in the same browser can send some. So a
request has to name this machine as its host (a name that was rebound to 127.0.0.1 does not), one of another site's
pages is refused, only GET and HEAD are known, and nothing may be large or slow.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from uniform_core.errors import ServiceError

LOOPBACK: Final = "127.0.0.1"
TARGET_LIMIT: Final = 8_192  # bytes of a path and its question
WORDS_LIMIT: Final = 32  # words of a question
IDLE_S: Final = 20.0  # a connection that says nothing for so long is closed
AT_ONCE: Final = 32  # connections that are served at the same time; more wait, and are refused after a while
WAIT_S: Final = 5.0
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; script-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Request:
    """A path without its question, the question's words (the last of each name), and the Range that was asked for."""

    path: str
    words: Mapping[str, str]
    range: str | None = None


@dataclass(frozen=True)
class Reply:
    """What is sent. `length` is that of all parts of the body; a HEAD request gets the headers alone."""

    status: HTTPStatus
    kind: str
    length: int
    parts: Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_text(cls, text: str, *, kind: str = "text/html", status: HTTPStatus = HTTPStatus.OK) -> Reply:
        """A text that is never kept by the browser: the catalog may say something else in a minute."""
        body = text.encode()
        return cls(status, f"{kind}; charset=utf-8", len(body), (body,), {"Cache-Control": "no-store"})

    @classmethod
    def refused(cls, status: HTTPStatus, why: str) -> Reply:
        """A refusal in words."""
        return cls.of_text(f"{status.value} {status.phrase}: {why}\n", kind="text/plain", status=status)


Answer = Callable[[Request], Reply]


@contextlib.contextmanager
def local_site(answer: Answer, *, port: int = 0) -> Iterator[Site]:
    """A site on 127.0.0.1 for as long as the block runs; port 0 is any that is free.

    Raises ServiceError where the port is taken.
    """
    try:
        server = Site(answer, port=port)
    except OSError as error:
        raise ServiceError(
            f"port {port} of {LOOPBACK}",
            expected="a port that nobody listens on",
            found=error.strerror or str(error),
            fix="Give another --port, or none.",
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Site(ThreadingHTTPServer):
    """The server; `url` is where a browser finds it."""

    daemon_threads = True
    block_on_close = False  # a film that is half sent keeps nobody waiting
    allow_reuse_address = True

    def __init__(self, answer: Answer, *, port: int) -> None:
        self.answer = answer
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which a request may call this machine."""
        return tuple(f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost"))

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(timeout=WAIT_S):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a film is none of our faults; anything else is shown."""
        import sys

        if not isinstance(sys.exception(), ConnectionError | TimeoutError | socket.timeout):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "uniform", ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._send(self._answered(), has_body=True)

    def do_HEAD(self) -> None:
        self._send(self._answered(), has_body=False)

    def _answered(self) -> Reply:
        refusal = self._refusal()
        if refusal is not None:
            return refusal
        target = urlsplit(self.path)
        try:
            words = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=WORDS_LIMIT, errors="strict"))
        except ValueError:
            return Reply.refused(HTTPStatus.BAD_REQUEST, f"at most {WORDS_LIMIT} words of UTF-8 after the ?")
        return self.server.answer(Request(target.path, words, self.headers.get("Range")))

    def _refusal(self) -> Reply | None:
        """Why this request is not answered, if it is not."""
        if len(self.path) > TARGET_LIMIT:
            return Reply.refused(HTTPStatus.REQUEST_URI_TOO_LONG, f"at most {TARGET_LIMIT} bytes")
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            return Reply.refused(HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.url}, and no other host")
        of_another = self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        if of_another and self.headers.get("Sec-Fetch-Mode") != "navigate":
            return Reply.refused(HTTPStatus.FORBIDDEN, "another site's page asks for this")
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            return Reply.refused(HTTPStatus.BAD_REQUEST, "a request without a body was expected")
        return None

    def _send(self, reply: Reply, *, has_body: bool) -> None:
        self.send_response(reply.status)
        closes = reply.status >= HTTPStatus.BAD_REQUEST  # what follows a refused request is not read
        sent = {"Content-Type": reply.kind, "Content-Length": str(reply.length), **HEADERS, **reply.headers}
        for name, value in (sent | ({"Connection": "close"} if closes else {})).items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            for part in reply.parts:
                self.wfile.write(part)
        self.close_connection |= closes

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses itself (another method, a malformed line) in our own form."""
        del message, explain  # they repeat what was sent
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._send(Reply.refused(status, "GET and HEAD are what is answered"), has_body=True)

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal shows where the page is, not each of its pictures."""
