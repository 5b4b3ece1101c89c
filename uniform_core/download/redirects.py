"""Where a server may send a download on to: never from a secure address to an open one, never with another's login."""

from __future__ import annotations

from collections.abc import Collection
from http.client import HTTPMessage
from typing import IO
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request

from uniform_core.download.failure import Reason, RemoteError


class Redirects(HTTPRedirectHandler):
    """Follows what is as safe as the address before it; a login is for its own host alone.

    Where `hosts` are given, nothing but these is asked, whatever a server says.
    """

    max_redirections = 6

    def __init__(self, hosts: Collection[str] | None = None, *, fix: str) -> None:
        self._hosts, self._fix = hosts, fix

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request. Raises RemoteError where it would leave HTTPS, or the hosts that may be asked."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        is_open = after.scheme != "https" and after.scheme != before.scheme
        if is_open or (self._hosts is not None and after.hostname not in self._hosts):
            fp.close()
            why = (
                "Anyone between could change what comes that way" if is_open else "Nobody has said that it may be asked"
            )
            raise RemoteError(
                req.full_url,
                expected="a file, or an https address of it"
                if is_open
                else f"a file of {', '.join(self._hosts or ())}",
                found=f"{code}, on to {after.scheme}://{after.netloc}",
                fix=f"{why}: {self._fix[:1].lower()}{self._fix[1:]}",
                reason=Reason.REDIRECT,
                status=code,
            )
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        if further is not None and after.netloc != before.netloc:
            further.remove_header("Authorization")
        return further
