"""A server of weights on this machine, which serves files well or in one of the ways in which servers fail.

It can speak TLS (with a certificate made for it), and answer as the Hugging Face hub does: headers about a file at its
address, the bytes from another host.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Served:
    """One file, and how it is served. `cuts` ends the connection after so many bytes, once for each number."""

    data: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    heeds_mark: bool = True  # whether it looks at If-Range
    cuts: list[int] = field(default_factory=list)
    status: int = 200
    length: int | None = None
    kind: str = "application/octet-stream"
    pause_s: float = 0.0
    piece: int = 1 << 16
    redirect: str | None = None
    chunked: bool = False
    range_answer: str | None = None
    error_code: str | None = None
    busy: int = 0  # answers of 503 before the first good one


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def start(self) -> int:
        """The byte from which it wanted the file."""
        said = self.headers.get("range", "bytes=0-")
        return int(said.removeprefix("bytes=").partition("-")[0])


class WeightsServer(ThreadingHTTPServer):
    """Serves `files` by their path, and keeps what was asked."""

    daemon_threads = True

    def __init__(self, *, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.asked: list[Asked] = []
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed or gave up are what these tests are about."""

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def put_hub(self, repo: str, path: str, data: bytes, **more: Any) -> Served:
        """A file of a repository: large ones (those that are no text) are linked by their sha256."""
        served = Served(data, **more)
        sha256 = hashlib.sha256(data).hexdigest()
        for revision in ("main", COMMIT):
            self.files[f"/{repo}/resolve/{revision}/{path}"] = served
        if not path.endswith(".json"):
            self.files[f"/cdn/{sha256}"] = served
        return served

    def gets(self, path: str) -> list[Asked]:
        """The requests for the bytes of a path."""
        return [asked for asked in self.asked if asked.method == "GET" and asked.path == path]


@contextmanager
def running(*, tls: tuple[Path, Path] | None = None) -> Iterator[WeightsServer]:
    """A server that runs while the block does."""
    server = WeightsServer(tls=tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine that signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weights test")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


class _Handler(BaseHTTPRequestHandler):
    server: WeightsServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing: the tests read `asked`."""

    def do_HEAD(self) -> None:
        served = self._served()
        if served is not None and "/resolve/" in self.path:
            self._hub_headers(served)

    def do_GET(self) -> None:
        served = self._served()
        if served is None:
            return
        if "/resolve/" in self.path and not self.path.endswith(".json"):
            self._hub_headers(served)
        elif served.redirect is not None:
            self._answer(302, {"Location": served.redirect, "Content-Length": "0"})
        else:
            self._send(served)
        self.close_connection = True

    def _served(self) -> Served | None:
        """The file that was asked for, unless the answer is an error, which is then sent."""
        self.server.asked.append(Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        served = self.server.files.get(self.path)
        if served is not None and served.busy > 0:
            served.busy -= 1
            status = 503
        else:
            status = 404 if served is None else served.status
        if status < 400:
            return served
        more = {} if served is None or served.error_code is None else {"X-Error-Code": served.error_code}
        self._answer(status, {"Content-Length": "0", **more})
        self.close_connection = True
        return None

    def _hub_headers(self, served: Served) -> None:
        """What the hub says of a file: text it serves itself, the rest another host does."""
        sha256 = hashlib.sha256(served.data).hexdigest()
        if self.path.endswith(".json"):
            about = {"ETag": '"' + hashlib.sha1(served.data).hexdigest() + '"', "Content-Length": str(len(served.data))}
            self._answer(200, {"X-Repo-Commit": COMMIT, **about})
            return
        where = self.server.url(f"/cdn/{sha256}", host="localhost")
        about = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(served.data)), "Location": where}
        self._answer(302, {"X-Repo-Commit": COMMIT, "Content-Length": "0", **about})

    def _send(self, served: Served) -> None:
        start, status, said = 0, 200, {}
        wanted = self.headers.get("Range")
        is_same = not served.heeds_mark or self.headers.get("If-Range") in (None, served.etag)
        if wanted and served.ranges and is_same:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(served.data):
                self._answer(416, {"Content-Range": f"bytes */{len(served.data)}", "Content-Length": "0"})
                return
            whole = f"bytes {start}-{len(served.data) - 1}/{len(served.data)}"
            said["Content-Range"] = served.range_answer or whole
        rest = served.data[start:]
        if served.chunked:
            said["Transfer-Encoding"] = "chunked"
        elif served.length != -1:
            said["Content-Length"] = str(len(rest) if served.length is None else served.length)
        if served.etag is not None:
            said["ETag"] = served.etag
        self._answer(status, {"Content-Type": served.kind, **said})
        if served.cuts:
            rest = rest[: served.cuts.pop(0)]
            self._write(served, rest)
        else:
            self._write(served, rest)
            if served.chunked:
                self.wfile.write(b"0\r\n\r\n")

    def _write(self, served: Served, data: bytes) -> None:
        for begin in range(0, len(data), served.piece):
            piece = data[begin : begin + served.piece]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if served.chunked else piece)
            self.wfile.flush()
            time.sleep(served.pause_s)

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
