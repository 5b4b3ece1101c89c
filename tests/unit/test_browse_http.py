"""The page's server by raw requests: who may ask, what, and how much."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection

import pytest

from flows.browse import http as served
from flows.browse.films import film
from flows.browse.http import HEADERS, Reply, Request, Site, local_site
from uniform_core.errors import ServiceError


def answer(request: Request) -> Reply:
    return Reply.of_text(f"{request.path} {dict(request.words)} {request.range}")


@pytest.fixture
def site() -> Iterator[Site]:
    with local_site(answer) as site:
        yield site


def raw(site: Site, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", site.server_port), timeout=20) as link:
        link.sendall(text.encode().replace(b"HOST", f"127.0.0.1:{site.server_port}".encode()))
        parts = []
        while part := link.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def asked(site: Site, method: str = "GET", path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
    with closing(HTTPConnection("127.0.0.1", site.server_port, timeout=20)) as link:
        link.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = link.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()


def test_it_listens_on_this_machine_alone(site):
    assert site.server_address[0] == "127.0.0.1"
    assert site.url == f"http://127.0.0.1:{site.server_port}/"


def test_words_of_the_question_arrive_decoded(site):
    status, _, body = asked(site, path="/x?a=%C3%A4+b&c=")
    assert (status, body.decode()) == (200, "/x {'a': 'ä b', 'c': ''} None")


def test_every_reply_says_that_nothing_of_others_may_run_frame_or_read_it(site):
    for path, method in (("/", "GET"), ("/", "HEAD"), ("/", "POST")):
        _, headers, _ = asked(site, method, path)
        assert HEADERS.items() <= headers.items()
        assert "Access-Control-Allow-Origin" not in headers
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none';")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "localhost.:PORT", ""]
)
def test_a_name_that_is_not_this_machine_is_refused(site, host):
    host = host.replace("PORT", str(site.server_port))
    assert status_of(raw(site, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")) == HTTPStatus.MISDIRECTED_REQUEST


def test_no_host_and_two_hosts_are_refused(site):
    assert status_of(raw(site, "GET / HTTP/1.1\r\n\r\n")) == HTTPStatus.MISDIRECTED_REQUEST
    assert status_of(raw(site, "GET / HTTP/1.1\r\nHost: HOST\r\nHost: evil\r\n\r\n")) == HTTPStatus.MISDIRECTED_REQUEST


def test_localhost_is_this_machine(site):
    reply = raw(site, f"GET / HTTP/1.1\r\nHost: localhost:{site.server_port}\r\nConnection: close\r\n\r\n")
    assert status_of(reply) == 200


@pytest.mark.parametrize("whose", ["cross-site", "same-site"])
def test_another_sites_page_gets_nothing_but_a_link_may_be_followed(site, whose):
    assert asked(site, Sec_Fetch_Site=whose, Sec_Fetch_Mode="no-cors")[0] == HTTPStatus.FORBIDDEN
    assert asked(site, Sec_Fetch_Site=whose)[0] == HTTPStatus.FORBIDDEN
    assert asked(site, Sec_Fetch_Site=whose, Sec_Fetch_Mode="navigate")[0] == 200
    assert asked(site, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"])
def test_only_get_and_head_are_known(site, method):
    status, headers, _ = asked(site, method)
    assert status == HTTPStatus.METHOD_NOT_ALLOWED
    assert headers["Connection"] == "close"


def test_head_has_the_headers_of_get_and_no_body(site):
    status, headers, body = asked(site, "HEAD", "/abc")
    assert (status, body) == (200, b"")
    assert headers["Content-Length"] == str(len("/abc {} None"))


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /" + "x" * 9000 + " HTTP/1.1\r\nHost: HOST\r\n\r\n", HTTPStatus.REQUEST_URI_TOO_LONG),
        ("GET /" + "x" * 70000 + " HTTP/1.1\r\nHost: HOST\r\n\r\n", HTTPStatus.REQUEST_URI_TOO_LONG),
        ("GET /?" + "&".join(f"a{n}=1" for n in range(40)) + " HTTP/1.1\r\nHost: HOST\r\n\r\n", HTTPStatus.BAD_REQUEST),
        ("GET /?a=%ff HTTP/1.1\r\nHost: HOST\r\n\r\n", HTTPStatus.BAD_REQUEST),
        ("GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello", HTTPStatus.BAD_REQUEST),
        ("GET / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (
            "GET / HTTP/1.1\r\nHost: HOST\r\n" + "".join(f"x{n}: y\r\n" for n in range(200)) + "\r\n",
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        ),
    ],
)
def test_what_is_large_or_malformed_is_refused_and_the_site_goes_on(site, request_text, status):
    assert status_of(raw(site, request_text)) == status
    assert asked(site)[0] == 200


@pytest.mark.parametrize("line", ["rubbish", "GET / HTTP/x", "GET /"])
def test_what_is_no_http_of_today_is_refused_in_words(site, line):
    reply = raw(site, f"{line}\r\n\r\n")
    assert reply.startswith((b"400 Bad Request", b"421 Misdirected Request"))


def test_who_says_nothing_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr(served._Handler, "timeout", 0.2)
    assert raw(site, "GET / HT") == b""


def test_more_than_it_serves_at_once_wait_and_are_then_let_go(monkeypatch):
    monkeypatch.setattr(served, "AT_ONCE", 1)
    monkeypatch.setattr(served, "WAIT_S", 0.05)
    with local_site(answer) as site, socket.create_connection(("127.0.0.1", site.server_port)):
        assert raw(site, "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n") == b""


def test_a_port_that_is_taken_is_said(site):
    with pytest.raises(ServiceError, match=f"port {site.server_port}"), local_site(answer, port=site.server_port):
        pass


# -- films --------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(range(100)))
    return path


@pytest.mark.parametrize(
    ("asked_for", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=90-", 90, 100),
        ("bytes=-5", 95, 100),
        ("bytes=95-400", 95, 100),
        ("bytes=-900", 0, 100),
    ],
)
def test_a_range_is_its_bytes(path, asked_for, start, stop):
    reply = film(path, asked_for)
    assert b"".join(reply.parts) == bytes(range(start, stop))
    assert reply.status is HTTPStatus.PARTIAL_CONTENT
    assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/100"
    assert reply.length == stop - start


@pytest.mark.parametrize("asked_for", [None, "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"])
def test_what_is_no_single_range_gets_the_whole_file(path, asked_for):
    reply = film(path, asked_for)
    assert (reply.status, b"".join(reply.parts)) == (HTTPStatus.OK, bytes(range(100)))


@pytest.mark.parametrize("asked_for", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_a_range_beyond_the_file_is_416(path, asked_for):
    reply = film(path, asked_for)
    assert reply.status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    assert reply.headers["Content-Range"] == "bytes */100"


def test_a_file_that_is_gone_is_404_and_one_that_ends_early_ends_the_connection(path, tmp_path):
    assert film(tmp_path / "none.mp4", None).status is HTTPStatus.NOT_FOUND
    assert film(tmp_path, None).status is HTTPStatus.NOT_FOUND
    reply = film(path, None)
    path.write_bytes(b"short")
    with pytest.raises(ConnectionAbortedError):
        b"".join(reply.parts)
