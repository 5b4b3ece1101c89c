"""What a plain web host's answer means for a clip."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from uniform_core.download import Reason, RemoteError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.messages import plain
from uniform_core.fetching.outcome import Failed

_OF_STATUS: Final[Mapping[int, FailureClass]] = {
    HTTPStatus.NOT_FOUND: FailureClass.DEAD,
    HTTPStatus.GONE: FailureClass.DEAD,
    HTTPStatus.UNAUTHORIZED: FailureClass.DENIED,
    HTTPStatus.FORBIDDEN: FailureClass.DENIED,
    HTTPStatus.REQUEST_TIMEOUT: FailureClass.TRANSIENT,
    HTTPStatus.TOO_EARLY: FailureClass.TRANSIENT,
    HTTPStatus.TOO_MANY_REQUESTS: FailureClass.RATE_LIMIT,
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: FailureClass.GEO,
}
_OF_REASON: Final = {
    Reason.CUT: FailureClass.TRANSIENT,
    Reason.SLOW: FailureClass.TRANSIENT,
    Reason.NO_LENGTH: FailureClass.TRANSIENT,
    Reason.OTHER_FILE: FailureClass.TRANSIENT,
    Reason.CERTIFICATE: FailureClass.TRANSIENT,  # a network that looks into what passes: it will not be there for ever
    Reason.PAGE: FailureClass.BAD_MEDIA,
    Reason.TOO_MUCH: FailureClass.TOO_LARGE,
    Reason.REDIRECT: FailureClass.DENIED,
}


def of_status(status: int, *, is_under_way: bool = False) -> FailureClass:
    """The class of an answer that is no success. `is_under_way`: the host had given a part of the file before.

    >>> [of_status(status).value for status in (404, 403, 429, 503, 418)]
    ['dead', 'denied', 'rate_limit', 'transient', 'denied']
    >>> of_status(403, is_under_way=True).value
    'expired_url'
    """
    if status == HTTPStatus.FORBIDDEN and is_under_way:
        return FailureClass.EXPIRED_URL
    if status < HTTPStatus.BAD_REQUEST or status >= HTTPStatus.INTERNAL_SERVER_ERROR:  # a redirect is left in a circle
        return FailureClass.TRANSIENT
    return _OF_STATUS.get(status, FailureClass.DENIED)


def of_download(error: RemoteError, *, is_under_way: bool = False) -> Failed:
    """What a download that did not succeed means for the clips that it was for."""
    if error.reason is Reason.STATUS:
        failure = of_status(error.status or 0, is_under_way=is_under_way)
    else:
        failure = _OF_REASON[error.reason]
    said = plain(f"{error.expected} expected, {error.found} found")  # a server chooses some of the words
    return Failed(failure, said, http_status=error.status, retry_after_s=error.retry_after_s)
