"""One request to a server that speaks JSON: bounded in time and size, tried again where that may help.

No redirect is followed and no proxy asked. The key goes into a header of its own, and is taken out of every message,
whatever the server says.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from uniform_core.errors import ConfigError, ServiceError
from uniform_core.seeds import numpy_rng

MAX_REPLY_BYTES: Final = 4 << 20
BUSY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_SHOWN: Final = 200


class UnansweredError(Exception):
    """All tries were used, and the server was busy, broken or silent each time."""


class RefusedError(Exception):
    """The server does not take this request, and will not take it later."""


class _AgainError(Exception):
    """Another try may have an answer, not before `after_s`."""

    def __init__(self, said: str, after_s: float = 0.0) -> None:
        super().__init__(said)
        self.after_s = after_s


@dataclass(frozen=True)
class ChatServer:
    """A server under an address, and how long it is waited for."""

    url: str
    timeout_s: float
    tries: int
    pause_s: float
    longest_pause_s: float
    key: str | None = field(default=None, repr=False)
    sleep: Callable[[float], None] = time.sleep

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object under a path. Raises as `post`."""
        return self._tried("GET", path, None, name=path)

    def post(self, path: str, body: Mapping[str, Any], *, name: str) -> dict[str, Any]:
        """The JSON object that answers. `name` is what the pauses of this request are drawn by.

        Raises UnansweredError and RefusedError for this request; ConfigError or ServiceError where no request would
        have an answer: a wrong key, model or address, a redirect, something that is no such server.
        """
        return self._tried("POST", path, json.dumps(body).encode(), name=name)

    def _tried(self, method: str, path: str, data: bytes | None, *, name: str) -> dict[str, Any]:
        jitter = numpy_rng("http", name)
        for attempt in range(self.tries):
            try:
                return self._once(method, path, data)
            except (OSError, HTTPException, _AgainError) as error:
                said = self._plain(f"{type(error).__name__.strip('_')}: {error}")
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise self._service(f"a certificate that can be verified; {said}") from error
                if attempt + 1 == self.tries:
                    raise UnansweredError(f"{self.tries} tries, the last: {said}") from None
                asked_s = error.after_s if isinstance(error, _AgainError) else 0.0
                pause_s = self.pause_s * 2**attempt * (1 + jitter.random())
                self.sleep(min(max(pause_s, asked_s), self.longest_pause_s))
        raise AssertionError("a request is tried at least once")

    def _once(self, method: str, path: str, data: bytes | None) -> dict[str, Any]:
        parts = urlsplit(self.url)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        kind = HTTPSConnection if parts.scheme.lower() == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout_s)
        try:
            connection.connect()
            with _deadline(connection.sock, self.timeout_s) as is_over:
                connection.request(method, f"{parts.path}{path}", body=data, headers=headers)
                response = connection.getresponse()
                read = response.read(MAX_REPLY_BYTES + 1)
            if is_over():  # a body without a length ends well where its socket is shut
                raise _AgainError(f"no whole answer within {self.timeout_s:g} s")
            if response.length and len(read) <= MAX_REPLY_BYTES:
                raise _AgainError(f"an answer that ends {response.length:,} bytes early")
        finally:
            connection.close()
        return self._answer(response, read)

    def _answer(self, response: HTTPResponse, data: bytes) -> dict[str, Any]:
        status = response.status
        said = self._plain(_shown(data))
        if status in BUSY:
            raise _AgainError(f"{status} {said}", _after_s(response.getheader("Retry-After")))
        if 300 <= status < 400:
            where = self._plain(str(response.getheader("Location")))
            raise self._service(
                f"{status}, on to {where[:_SHOWN]}", fix="Give the address that it names, if you trust it."
            )
        if status in (401, 403):
            fix = "Set the environment variable that api_key_env names to a key that it takes."
            raise ConfigError(self.url, expected="a server that lets this key in", found=f"{status} {said}", fix=fix)
        if status == 404:
            fix = "Correct url (it ends before /chat/completions) or model."
            raise ConfigError(self.url, expected="chat completions of this model", found=f"404 {said}", fix=fix)
        if data.lstrip()[:1] == b"<":
            raise self._service(
                "a web page (HTML)", fix="Correct url: it ends before /chat/completions, mostly in /v1."
            )
        if not 200 <= status < 300:
            raise RefusedError(f"{status} {said}")
        if len(data) > MAX_REPLY_BYTES:
            raise RefusedError(f"an answer of more than {MAX_REPLY_BYTES:,} bytes")
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            raise self._service(f"{said!r}, which is no JSON") from None
        if not isinstance(values, dict):
            raise self._service(f"{said!r}, which is no JSON object")
        return values

    def _service(self, found: str, *, fix: str = "Look at the server and at url.") -> ServiceError:
        return ServiceError(self.url, expected="a server of chat completions", found=found, fix=fix)

    def _plain(self, text: str) -> str:
        """A text of the server's without the key."""
        return text if not self.key else text.replace(self.key, "***")


def _shown(data: bytes) -> str:
    """The beginning of an answer on one line, with what cannot be seen taken out."""
    text = " ".join(data[: 4 * _SHOWN].decode(errors="replace").split())
    return "".join(letter for letter in text if letter.isprintable())[:_SHOWN]


def _after_s(header: str | None) -> float:
    """The seconds that a server asks to be left alone; 0 for a date or none."""
    return float(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 6 else 0.0


@contextmanager
def _deadline(sock: socket.socket, limit_s: float) -> Iterator[Callable[[], bool]]:
    """The block's socket is shut after so long, however alive it is; what is yielded says whether it was.

    A socket's own timeout is of each piece alone: a server may say a byte now and then for ever.
    """
    is_over = threading.Event()

    def shut() -> None:
        is_over.set()
        with suppress(OSError):  # it has ended already
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s, shut)
    timer.daemon = True
    timer.start()
    try:
        yield is_over.is_set
    finally:
        timer.cancel()
