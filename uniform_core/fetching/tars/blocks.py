"""The members of a tar, one after another, each read or skipped; nothing that it says of itself costs memory.

Only regular files have content here. Links, devices and the rest are told by `is_file`, and are for nobody to make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from uniform_core.fetching.tars.gzips import Gap, Stream

BLOCK: Final = 512
MOST_NAME_BYTES: Final = 1 << 16
_SEARCHED: Final = 1 << 20  # bytes at a time
_MARK, _MARK_AT = b"ustar", 257
_REGULAR, _LONG_NAME, _PAX, _SPARSE = (b"0", b"\0", b"7"), b"L", b"x", b"S"
_NO_CONTENT: Final = (b"1", b"2", b"3", b"4", b"5", b"6")
_PAX_RECORD: Final = re.compile(rb"(\d{1,8}) (path|size)=")


@dataclass(frozen=True)
class Member:
    """One member. `offset` is where its content lies in the stream, in bytes."""

    name: str
    size: int
    offset: int
    is_file: bool


@dataclass(frozen=True)
class _Header:
    name: str
    size: int
    kind: bytes
    goes_on: bool  # more blocks of an old sparse header follow


class TarReader:
    """Reads a tar from a stream. `gaps` counts the places where something was lost, which it goes on behind."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._back = b""
        self._at = 0  # of the stream; what was lost is not counted
        self._left, self._padding = 0, 0
        self._is_astray = False  # it stands where no header need be
        self.gaps = 0

    def __iter__(self) -> Iterator[Member]:
        """The members, in order. One that is not read is skipped."""
        name: str | None = None
        size: int | None = None
        while (header := self._header()) is not None:
            if header.kind in (_LONG_NAME, _PAX):
                said = self._said(header)
                name = said.get("path", name)
                size = int(said["size"]) if "size" in said else size
                continue
            found = Member(
                name if name is not None else header.name,
                size if size is not None else header.size,
                self._at,
                header.kind in _REGULAR,
            )
            name, size = None, None
            self._open(0 if header.kind in _NO_CONTENT else found.size)
            if header.kind in (*_REGULAR, *_NO_CONTENT, _SPARSE):
                yield found

    def read(self, count: int) -> bytes:
        """More of the member that came last; nothing at its end. Raises Gap where the rest of it is lost."""
        try:
            found = self._take(min(count, self._left))
        except Gap:
            self._lost()
            raise
        if not found and self._left:  # the stream has ended
            self._lost()
            raise Gap
        self._left -= len(found)
        return found

    def _open(self, size: int) -> None:
        self._left, self._padding = size, -size % BLOCK

    def _said(self, header: _Header) -> dict[str, str]:
        """What a header before the header says of the next member; nothing where it is too long to be a name."""
        self._open(header.size)
        if header.size > MOST_NAME_BYTES:
            return {}
        try:
            content = b""
            while piece := self.read(MOST_NAME_BYTES):
                content += piece
        except Gap:
            return {}
        if header.kind == _LONG_NAME:
            return {"path": _text(content.partition(b"\0")[0])}
        return _pax(content)

    def _header(self) -> _Header | None:
        """The next header; None at the end of the stream."""
        if self._is_astray:
            return self._found_again(b"")
        try:
            self._skip(self._left + self._padding)
            self._open(0)
            while True:
                block = self._exactly(BLOCK)
                if len(block) < BLOCK:
                    return None
                if not block.strip(b"\0"):
                    continue
                header = _parsed(block)
                if header is None:
                    self._lost()
                    header = self._found_again(block)
                more = header is not None and header.goes_on
                while more:
                    more = self._exactly(BLOCK)[504:505] not in (b"\0", b"")
                return header
        except Gap:
            self._lost()
        return self._found_again(b"")

    def _found_again(self, seen: bytes) -> _Header | None:
        """The next place that is a header, wherever it lies."""
        self._is_astray = False
        look_at = 0  # what begins before it is no header
        while True:
            at = seen.find(_MARK, look_at + _MARK_AT)
            start = at - _MARK_AT
            if at >= 0 and len(seen) >= start + BLOCK:
                header = _parsed(seen[start : start + BLOCK])
                if header is not None:
                    self._back = seen[start + BLOCK :] + self._back
                    self._at -= len(seen) - start - BLOCK
                    return header
                look_at = start + 1
                continue
            try:
                more = self._take(_SEARCHED)
            except Gap:
                self.gaps += 1
                seen, look_at = b"", 0
                continue
            if not more:
                return None
            kept = start if at >= 0 else max(look_at, len(seen) - _MARK_AT - len(_MARK) + 1)
            seen, look_at = seen[kept:] + more, 0

    def _lost(self) -> None:
        self.gaps += 1
        self._is_astray = True
        self._open(0)

    def _skip(self, count: int) -> None:
        """Raises Gap where something is lost on the way."""
        held = len(self._take(min(count, len(self._back))))
        if count > held:
            self._stream.skip(count - held)
            self._at += count - held

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count and (piece := self._take(count - len(found))):
            found += piece
        return found

    def _take(self, count: int) -> bytes:
        """At most so many bytes, none only at the end. Raises Gap."""
        if self._back:
            found, self._back = self._back[:count], self._back[count:]
        else:
            found = self._stream.read(count) if count else b""
        self._at += len(found)
        return found


def _parsed(block: bytes) -> _Header | None:
    """The header that a block is; None where it is none."""
    said, size = _number(block[148:156]), _number(block[124:136])
    if said is None or size is None or said != sum(block[:148]) + 256 + sum(block[156:]):
        return None
    name = _text(block[:100].partition(b"\0")[0])
    prefix = _text(block[345:500].partition(b"\0")[0])
    is_posix = block[_MARK_AT : _MARK_AT + 6] == _MARK + b"\0"
    kind = block[156:157]
    goes_on = kind == _SPARSE and block[482:483] not in (b"\0", b"")
    return _Header(f"{prefix}/{name}" if prefix and is_posix else name, size, kind, goes_on)


def _number(field: bytes) -> int | None:
    """A number of a header: octal digits, or bytes where it is large. None where it is neither."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else None


def _pax(content: bytes) -> dict[str, str]:
    """The path and the size that an extended header has. Records it does not understand are passed over."""
    found: dict[str, str] = {}
    at = 0
    while at < len(content):
        length = re.match(rb"(\d{1,8}) ", content[at:])
        if length is None or int(length[1]) <= len(length[0]):
            break
        record = content[at : at + int(length[1])]
        at += len(record)
        word = _PAX_RECORD.match(record)
        if word is not None:
            value = record[word.end() :].rstrip(b"\n")
            if word[2] == b"path" or re.fullmatch(rb"\d{1,15}", value):
                found[word[2].decode()] = _text(value)
    return found


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
