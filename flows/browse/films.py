"""A file of ours as a player asks for it: whole, or a range of its bytes, never more than a piece in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

from flows.browse.http import Reply

PIECE: Final = 1 << 18
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def film(path: Path, asked: str | None) -> Reply:
    """The bytes of an mp4. `asked` is the Range header (RFC 9110 §14): one range, or it is passed over, as is allowed.

    A file that is gone is 404, a range outside of it 416.
    """
    try:
        size = path.stat().st_size
        found = path.is_file()
    except OSError:
        found = False
    if not found:
        return Reply.refused(HTTPStatus.NOT_FOUND, "the file of this clip is gone: `uniform catalog verify` tells more")
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, max-age=3600"}
    wanted = None if asked is None else _span(asked, size)
    if wanted == NOWHERE:
        refusal = Reply.refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the file has {size} bytes")
        return Reply(refusal.status, refusal.kind, refusal.length, refusal.parts, {"Content-Range": f"bytes */{size}"})
    if wanted is None:
        return Reply(HTTPStatus.OK, "video/mp4", size, _pieces(path, 0, size), headers)
    first, last = wanted
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, "video/mp4", last - first + 1, _pieces(path, first, last + 1), headers)


NOWHERE: Final = (-1, -1)


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte; None where all are meant, NOWHERE where the file has none of them."""
    parts = _RANGE.fullmatch(asked.strip())
    if parts is None or parts.group() == "bytes=-":
        return None
    first, last = parts.groups()
    if not first:  # the last so many
        return (max(0, size - int(last)), size - 1) if size and int(last) else NOWHERE
    if int(first) >= size:
        return NOWHERE
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


def _pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` up to `stop`; a file that ends before ends the connection, as its length was promised."""
    with path.open("rb") as handle:
        handle.seek(start)
        while start < stop and (piece := handle.read(min(PIECE, stop - start))):
            start += len(piece)
            yield piece
    if start < stop:
        raise ConnectionAbortedError(f"{path} ends {stop - start} bytes early")
