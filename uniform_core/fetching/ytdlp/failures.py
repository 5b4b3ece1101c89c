"""What yt-dlp's own exceptions mean. They wrap one another; the innermost knows most."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import Final

from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import (
    ContentTooShortError,
    DownloadCancelled,
    GeoRestrictedError,
    PostProcessingError,
    UnsupportedError,
)

from uniform_core.download import retry_after_s
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.messages import of_message, plain
from uniform_core.fetching.outcome import Failed
from uniform_core.fetching.policies import POLICIES
from uniform_core.fetching.statuses import of_status

MOST_LINKS: Final = 12  # of a chain of exceptions
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_OF_TYPE: Final[tuple[tuple[type[BaseException], FailureClass], ...]] = (
    (GeoRestrictedError, FailureClass.GEO),
    (ContentTooShortError, FailureClass.TRANSIENT),
    (TransportError, FailureClass.TRANSIENT),
    (PostProcessingError, FailureClass.BAD_MEDIA),
    (UnsupportedError, FailureClass.BAD_MEDIA),
    (DownloadCancelled, FailureClass.TRANSIENT),
    (TimeoutError, FailureClass.TRANSIENT),
    (ConnectionError, FailureClass.TRANSIENT),
)


class DiskFullError(Exception):
    """No room for what came: no video's fault."""


def of_youtube(error: BaseException, said: Sequence[str] = ()) -> Failed:
    """The failure that an exception of yt-dlp stands for. `said` are the lines that it and its programs wrote before.

    What nobody has seen yet is transient, and says that it is unknown. Raises DiskFullError.
    """
    chain = list(_chain(error))
    if any(isinstance(one, OSError) and one.errno in _FULL for one in chain):
        raise DiskFullError(plain(str(error)))
    answer = next((one for one in chain if isinstance(one, HTTPError)), None)
    status = None if answer is None else int(answer.status)
    message = plain(str(error) or type(error).__name__)
    failure = _class_of(chain, status)
    if failure in (None, FailureClass.BAD_MEDIA, FailureClass.NO_FORMAT):  # "ffmpeg exited with code 8"
        told = _told(said, of_video=failure is not FailureClass.NO_FORMAT)
        if told is not None:
            message, failure = plain(f"{message} ({told[0]})"), told[1]
    if failure is None:
        message, failure = plain(f"unknown: {message}"), FailureClass.TRANSIENT
    return Failed(failure, message, http_status=status, retry_after_s=_retry_after_s(answer))


def _told(said: Sequence[str], *, of_video: bool) -> tuple[str, FailureClass] | None:
    """The first line that was said before and says more; not `of_video`: only of what is no video's fault.

    Where no format is left, lines before it may tell of the formats that one of YouTube's players did not give.
    """
    classes = ((line, of_message(line)) for line in said)
    return next(((line, found) for line, found in classes if found and (of_video or not POLICIES[found].counts)), None)


def _class_of(chain: Sequence[BaseException], status: int | None) -> FailureClass | None:
    """What the exceptions themselves tell, the words of each first, then what they are; None where nothing does."""
    if any(isinstance(one, GeoRestrictedError) for one in chain):
        return FailureClass.GEO
    by_words = next((found for one in chain if (found := of_message(str(one))) is not None), None)
    if by_words is not None:
        return by_words
    by_type = next((found for one in chain for kind, found in _OF_TYPE if isinstance(one, kind)), None)
    return by_type if status is None else of_status(status, is_under_way=True)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that it wraps, in yt-dlp's ways (`exc_info`, `cause`) and in Python's."""
    waiting: list[object] = [error]
    seen: list[BaseException] = []
    while waiting and len(seen) < MOST_LINKS:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or one in seen:
            continue
        seen.append(one)
        yield one
        held = getattr(one, "exc_info", None) or (None, None, None)
        waiting += [held[1], getattr(one, "cause", None), one.__cause__, one.__context__]


def _retry_after_s(answer: HTTPError | None) -> float | None:
    if answer is None:
        return None
    headers = answer.response.headers
    return retry_after_s(str(headers.get("Retry-After") or ""), date=str(headers.get("Date") or ""))
