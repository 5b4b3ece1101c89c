"""Why a file did not come, in words for people and in a value for those who decide what follows."""

from __future__ import annotations

from enum import StrEnum

from uniform_core.errors import ServiceError


class Reason(StrEnum):
    """What it was that the server did, or did not."""

    STATUS = "status"  # an answer that is no success; `status` says which
    CUT = "cut"  # no answer, a broken or silent connection: the same request may succeed
    SLOW = "slow"  # it would take longer than it may
    PAGE = "page"  # a web page in place of the file
    TOO_MUCH = "too_much"  # more bytes than the file may have
    OTHER_FILE = "other_file"  # not the length, or not the part, that it should have
    NO_LENGTH = "no_length"
    REDIRECT = "redirect"  # on to where nobody should go
    CERTIFICATE = "certificate"


class RemoteError(ServiceError):
    """A server did not give the file. `status` is its last answer's, `retry_after_s` what it said of later."""

    def __init__(
        self,
        item: str,
        *,
        expected: str,
        found: str,
        fix: str,
        reason: Reason,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(item, expected=expected, found=found, fix=fix)
        self.reason, self.status, self.retry_after_s = reason, status, retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        parts = (self.item, self.expected, self.found, self.fix)
        return (_rebuild, (*parts, self.reason, self.status, self.retry_after_s))


def _rebuild(
    item: str, expected: str, found: str, fix: str, reason: Reason, status: int | None, retry_after_s: float | None
) -> RemoteError:
    """The error again on the other side of a process border (keyword-only arguments do not pickle)."""
    return RemoteError(
        item, expected=expected, found=found, fix=fix, reason=reason, status=status, retry_after_s=retry_after_s
    )
