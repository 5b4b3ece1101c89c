"""One file over HTTP(S), into a partial file that the next call goes on with where this one was ended.

Nothing is believed: not the length, not the kind, not that a server goes on where it was asked to. A connection that
breaks or falls silent is tried again; whatever else is wrong is one error, and the partial file stays where it can
still become the file.
"""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError, URLError

from uniform_core.download.failure import Reason, RemoteError
from uniform_core.download.redirects import Redirects
from uniform_core.download.remote import Patience, Remote
from uniform_core.download.room import require_room
from uniform_core.download.waits import retry_after_s
from uniform_core.errors import UniformError
from uniform_core.files import storage_error, write_text

CHUNK: Final = 1 << 16
SETTLED: Final = timedelta(minutes=1)  # who has not changed for so long, by the server's own clock, will be told apart
MOST_DIGITS: Final = 18  # of a length in bytes
_BUSY: Final = (408, 425, 429)  # and every 5xx: the same request may succeed later
_LATER: Final = "Run the same command again: it goes on where it was."


class _Cut(Exception):  # noqa: N818  (it never leaves this file)
    """The connection ended before the file did: another try may go on."""

    def __init__(self, said: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(said)
        self.status, self.retry_after_s = status, retry_after_s


class _Past(Exception):  # noqa: N818
    """The server has nothing after the byte that was asked for; `length` is that of its file, where it says."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.length = _number(said.removeprefix("bytes */"))


def download(
    remote: Remote, part: Path, *, heard: Callable[[int], None] = lambda _bytes: None, patience: Patience | None = None
) -> None:
    """`part` is whole, as far as its length tells. `heard` gets how many bytes there are, again and again.

    Raises RemoteError for what the server does, StorageError for what the disk does.
    """
    patience = patience or Patience()
    left, farthest = patience.tries, _size_of(part)
    while True:
        try:
            _go_on(remote, part, heard=heard, patience=patience)
        except _Cut as cut:
            if _size_of(part) > farthest:  # it moves: patience begins anew
                left, farthest = patience.tries, _size_of(part)
            left -= 1
            if left <= 0:
                raise RemoteError(
                    remote.url,
                    expected="the whole file",
                    found=f"{cut}, {_size_of(part):,} bytes are here",
                    fix=_LATER,
                    reason=Reason.CUT if cut.status is None else Reason.STATUS,
                    status=cut.status,
                    retry_after_s=cut.retry_after_s,
                ) from cut
            patience.sleep(patience.pause_s * 2 ** (patience.tries - 1 - left))
        else:
            return


def drop(part: Path) -> None:
    """Nothing is left of a partial file."""
    part.unlink(missing_ok=True)
    _kept(part).unlink(missing_ok=True)


def _go_on(remote: Remote, part: Path, *, heard: Callable[[int], None], patience: Patience) -> None:
    """One connection: from where the partial file ends, or from the start."""
    here, mark, whole = _size_of(part), *_mark_of(part)
    if here == remote.size_bytes:
        return
    if here > (remote.size_bytes or remote.most_bytes) or (here and mark is None and remote.sha256 is None):
        part.unlink()
        here = 0
    try:
        response = _answer(remote, here=here, mark=mark, silence_s=patience.silence_s)
    except _Past as past:
        if past.length == here:
            return
        part.unlink(missing_ok=True)
        raise _Cut("what was here was not the beginning of it") from past
    with response:
        start = _start_of(remote, response, here=here)
        total = _total_of(remote, response, start=start)
        if start and (_is_other(response, mark) or (None not in (whole, total) and whole != total)):
            part.unlink()
            raise _Cut("the file has changed since it was begun")
        require_room(part.parent, (total or 0) - start, item=remote.url, fix=remote.room)
        if start == 0:
            _begin(part, response, total=total)
        _copy(remote, response, part, start=start, total=total, heard=heard, patience=patience)


def _answer(remote: Remote, *, here: int, mark: str | None, silence_s: float) -> http.client.HTTPResponse:
    """What the server says to a request for the rest. Raises _Cut where another try may help, _Past or RemoteError."""
    headers = {"User-Agent": "uniform", "Accept-Encoding": "identity", **remote.headers}
    if here:
        headers["Range"] = f"bytes={here}-"
        if mark is not None:
            headers["If-Range"] = mark
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310  (`Redirects` lets nothing else pass)
    opener = urllib.request.build_opener(Redirects(remote.hosts, fix=remote.denied))
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=silence_s)
    except HTTPError as error:
        with error:
            if here and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _Past(error.headers.get("Content-Range", "")) from error
            raise _refused(remote, error) from error
    except UniformError:
        raise
    except (URLError, http.client.HTTPException, OSError, ValueError) as error:  # ValueError: on to what is no address
        raise _unreached(remote, error) from error
    return response


def _refused(remote: Remote, error: HTTPError) -> _Cut | RemoteError:
    """What a status that is no success means."""
    found = f"{error.code} {error.reason}"
    if error.code in _BUSY or error.code >= http.client.INTERNAL_SERVER_ERROR:
        wait_s = retry_after_s(error.headers.get("Retry-After") or "", date=error.headers.get("Date") or "")
        return _Cut(f"the server says {found}", status=error.code, retry_after_s=wait_s)
    if error.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        expected, fix = "a file that may be had", remote.denied
    else:
        expected, fix = "a file", "It may have moved: " + remote.denied
    return RemoteError(remote.url, expected=expected, found=found, fix=fix, reason=Reason.STATUS, status=error.code)


def _unreached(remote: Remote, error: Exception) -> _Cut | RemoteError:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        found = f"a certificate that cannot be believed ({reason.verify_message})"
        fix = "Look at the network."
        expected = "a server that is who it says"
        return RemoteError(remote.url, expected=expected, found=found, fix=fix, reason=Reason.CERTIFICATE)
    return _Cut(f"no answer ({reason or type(reason).__name__})")


def _start_of(remote: Remote, response: http.client.HTTPResponse, *, here: int) -> int:
    """Where the answer begins in the file: the server may not know ranges, or have another file by now."""
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    said = response.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {here}-"):
        expected, found = f"the file from byte {here:,} on", said or "another part"
        raise RemoteError(remote.url, expected=expected, found=found, fix=remote.denied, reason=Reason.OTHER_FILE)
    return here


def _total_of(remote: Remote, response: http.client.HTTPResponse, *, start: int) -> int | None:
    """How long the whole file is by this answer; None where it does not say. Raises RemoteError for a wrong one."""
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise _page(remote)
    rest = _number(response.headers.get("Content-Length", ""))
    total = None if rest is None else start + rest
    if start:  # it may send less than the rest, and says how long the whole is
        total = _number(response.headers.get("Content-Range", "").rpartition("/")[2]) or total
    if total is not None and remote.size_bytes is not None and total != remote.size_bytes:
        expected, found = f"{remote.size_bytes:,} bytes, as published", f"{total:,}"
        fix = "It is another file: " + remote.denied
        raise RemoteError(remote.url, expected=expected, found=found, fix=fix, reason=Reason.OTHER_FILE)
    if total is not None and total > remote.most_bytes:
        raise too_much(remote.url, total, most=remote.most_bytes, fix=remote.denied)
    if total is None and remote.size_bytes is None and response.headers.get("Transfer-Encoding") != "chunked":
        found = "no word of how long it is"
        raise RemoteError(remote.url, expected="a length", found=found, fix=remote.denied, reason=Reason.NO_LENGTH)
    return remote.size_bytes if total is None else total


def _copy(
    remote: Remote,
    response: http.client.HTTPResponse,
    part: Path,
    *,
    start: int,
    total: int | None,
    heard: Callable[[int], None],
    patience: Patience,
) -> None:
    """The bytes of the answer stand at the end of the partial file, and are on the disk."""
    done, begun = start, patience.clock()
    since, at_since = begun, done
    with _opened(part, start) as file:
        while chunk := _read(response):
            if done == 0 and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise _page(remote)
            done += len(chunk)
            if done > (total or remote.most_bytes):
                raise too_much(remote.url, done, most=total or remote.most_bytes, fix=remote.denied)
            _write(part, file, chunk)
            heard(done)
            now = patience.clock()
            if patience.whole_s is not None and now - begun > patience.whole_s:
                raise _too_slow(remote, done, total, patience.whole_s)
            if now - since > patience.window_s:
                if done - at_since < patience.window_bytes:
                    raise _Cut(f"slower than {patience.window_bytes:,} bytes in {patience.window_s:g} s")
                since, at_since = now, done
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _Cut(f"the connection was closed at byte {done:,} of {total:,}")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK)
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise _Cut(f"the connection broke ({error or type(error).__name__})") from error


def _opened(part: Path, start: int) -> IO[bytes]:
    try:
        return part.open("ab" if start else "wb", buffering=0)
    except OSError as error:
        raise storage_error(str(part), error) from error


def _write(part: Path, file: IO[bytes], chunk: bytes) -> None:
    try:
        written = 0
        while written < len(chunk):
            written += file.write(chunk[written:])
    except OSError as error:
        raise storage_error(str(part), error) from error


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _mark_of(part: Path) -> tuple[str | None, int | None]:
    """What the server called the file when the partial one was begun, and how long it said that the whole is."""
    if not _kept(part).is_file():
        return None, None
    mark, _, whole = _kept(part).read_text().partition("\n")
    return mark, _number(whole)


def _is_other(response: http.client.HTTPResponse, mark: str | None) -> bool:
    """Whether the server calls the file something else than `mark` by now."""
    if mark is None:
        return False
    return bool(response.headers.get("ETag" if mark.startswith('"') else "Last-Modified", mark) != mark)


def _kept(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _begin(part: Path, response: http.client.HTTPResponse, *, total: int | None) -> None:
    """Nothing is here but the server's mark of the file that tells its bytes apart, where it gave one."""
    drop(part)
    mark = _strong_mark(response)
    if mark is not None:
        write_text(_kept(part), mark if total is None else f"{mark}\n{total}")
    else:
        part.parent.mkdir(parents=True, exist_ok=True)


def _strong_mark(response: http.client.HTTPResponse) -> str | None:
    """The file's strong ETag; else when it was changed last, where that was so long ago that it is as good.

    Within the clock's step a file may change twice. Source: RFC 9110, section 8.8.2.2.
    """
    mark = response.headers.get("ETag", "")
    if mark.startswith('"') and mark.isprintable():
        return mark
    changed, now = response.headers.get("Last-Modified", ""), response.headers.get("Date", "")
    try:
        age = parsedate_to_datetime(now) - parsedate_to_datetime(changed)
    except (TypeError, ValueError, OverflowError):  # missing, no date, or one with and one without a zone
        return None
    return changed if age >= SETTLED and changed.isprintable() else None


def _number(text: str) -> int | None:
    """A length as a header says it; None for what is none, thousands of digits (which `int` refuses) among it."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def _page(remote: Remote) -> RemoteError:
    found, fix = "a web page (HTML)", "It asks for something: " + remote.denied
    return RemoteError(remote.url, expected="a file", found=found, fix=fix, reason=Reason.PAGE)


def _too_slow(remote: Remote, done: int, total: int | None, most_s: float) -> RemoteError:
    found = f"{done:,} bytes of {'an unknown number' if total is None else f'{total:,}'} after it"
    return RemoteError(
        remote.url, expected=f"the file within {most_s:g} s", found=found, fix=_LATER, reason=Reason.SLOW
    )


def too_much(item: str, count: int, *, most: int, fix: str) -> RemoteError:
    """What is said of a file that is longer than it may be."""
    expected, fix = f"at most {most:,} bytes", "It is another file: " + fix
    return RemoteError(item, expected=expected, found=f"{count:,}", fix=fix, reason=Reason.TOO_MUCH)
