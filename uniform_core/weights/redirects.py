"""Where a server may send a download on to: never from a secure address to an open one, never with another's login."""

from __future__ import annotations

from http.client import HTTPMessage
from typing import IO
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request

from uniform_core.errors import ServiceError


class Redirects(HTTPRedirectHandler):
    """Follows what is as safe as the address before it; a login is for its own host alone."""

    max_redirections = 6

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request. Raises ServiceError where it would leave HTTPS."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme != "https" and after.scheme != before.scheme:
            fp.close()
            raise ServiceError(
                req.full_url,
                expected="a file, or an https address of it",
                found=f"{code}, on to {after.scheme}://{after.netloc}",
                fix="Anyone between could change what comes that way: get the file by hand, and give it with --from.",
            )
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        if further is not None and after.netloc != before.netloc:
            further.remove_header("Authorization")
        return further
