"""How long a server asks to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_DIGITS = 9


def retry_after_s(said: str, *, date: str) -> float | None:
    """The seconds that a Retry-After asks for; None where it asks for none that can be understood.

    It is a number of seconds or a moment. A moment is held against the answer's own `Date`: the server's clock may be
    wrong, and so may ours, but not by how much time lies between two of its words. Source: RFC 9110, 10.2.3.

    >>> retry_after_s("120", date="")
    120.0
    >>> retry_after_s("Wed, 21 Oct 2026 08:28:00 GMT", date="Wed, 21 Oct 2026 07:28:00 GMT")
    3600.0
    """
    asked = said.strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked) if len(asked) <= MOST_DIGITS else None
    until, now = _moment(asked), _moment(date)
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
