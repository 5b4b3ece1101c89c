"""Bytes of an archive, in order, from a plain file or a compressed one; of a damaged one what can be had.

A gzip file is a row of parts. Within a part nothing after damage can be read; the next part can.
"""

from __future__ import annotations

import os
import zlib
from typing import IO, Final, Protocol

MAGIC: Final = b"\x1f\x8b\x08"
CHUNK: Final = 1 << 16
_STEP: Final = 64  # bytes at a time, to get what lies before damage
_TRIED: Final = 512  # bytes that must unpack where a part may begin


class Gap(Exception):  # noqa: N818  (it is news, and every reader of a stream handles it)
    """Bytes were lost here: what is read next does not go on from what was read last."""


class BombError(Exception):
    """More comes out than anything that is honest has in it."""


class Stream(Protocol):
    """Bytes in order."""

    def read(self, count: int) -> bytes:
        """So many bytes, fewer only before a gap and at the end. Raises Gap, once for each."""

    def skip(self, count: int) -> None:
        """So many bytes are passed over, fewer only before a gap and at the end. Raises Gap, once for each."""


class PlainStream:
    """A file as it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        return self._file.read(count)

    def skip(self, count: int) -> None:
        here = self._file.tell()
        self._file.seek(min(here + count, self._file.seek(0, os.SEEK_END)))


class GzipStream:
    """What a gzip file has in it. Raises BombError once more than `most_bytes` have come out."""

    def __init__(self, file: IO[bytes], *, most_bytes: int) -> None:
        self._file, self._left = file, most_bytes
        self._raw = b""
        self._out = bytearray()
        self._part = zlib.decompressobj(31)
        self._is_inside, self._has_gap, self._is_over = False, False, False

    def read(self, count: int) -> bytes:
        while len(self._out) < count and not self._has_gap and not self._is_over:
            self._inflate()
        if self._has_gap and not self._out:
            self._has_gap = False
            raise Gap
        found = bytes(self._out[:count])
        del self._out[:count]
        return found

    def skip(self, count: int) -> None:
        while count > 0 and (piece := self.read(min(count, CHUNK))):
            count -= len(piece)

    def _inflate(self) -> None:
        """More bytes are out, or a gap or the end is reached."""
        if not self._raw and not self._fill():
            self._is_over = True
            self._has_gap = self._is_inside  # the file ends within a part
            return
        if not self._is_inside and not self._begin():
            return
        before, given = self._part.copy(), self._raw
        try:
            out = self._part.decompress(given, CHUNK)
        except zlib.error:
            self._salvage(before, given)
            return
        self._add(out)
        self._raw = self._part.unused_data if self._part.eof else self._part.unconsumed_tail
        self._is_inside = not self._part.eof

    def _begin(self) -> bool:
        """Whether a part begins where the stream stands; what is no part is skipped, zeros without a word."""
        while len(self._raw) < _TRIED and self._fill():
            pass
        if self._raw.startswith(MAGIC):
            self._part, self._is_inside = zlib.decompressobj(31), True
            return True
        self._raw = self._raw.lstrip(b"\0")
        if self._raw and not self._raw.startswith(MAGIC):
            self._has_gap = True
            self._seek(self._raw)
        return False

    def _salvage(self, before: zlib._Decompress, given: bytes) -> None:
        """What lies before the damage is out, and the stream stands where the next part begins."""
        for start in range(0, len(given), _STEP):
            try:
                self._add(before.decompress(given[start : start + _STEP]))
            except zlib.error:
                break
        self._is_inside, self._has_gap = False, True
        self._seek(given)

    def _seek(self, raw: bytes) -> None:
        """The stream stands at the next place after the first byte where a part begins, or at its end."""
        raw = raw[1:]
        while True:
            at = raw.find(MAGIC)
            if at >= 0:
                self._raw = raw[at:]
                while len(self._raw) < _TRIED and self._fill():
                    pass
                if _unpacks(self._raw):
                    return
                raw = self._raw[1:]
                continue
            self._raw = raw[-len(MAGIC) + 1 :]
            if not self._fill():
                self._raw = b""
                return
            raw = self._raw

    def _fill(self) -> bool:
        more = self._file.read(CHUNK)
        self._raw += more
        return bool(more)

    def _add(self, out: bytes) -> None:
        self._left -= len(out)
        if self._left < 0:
            raise BombError
        self._out += out


def _unpacks(raw: bytes) -> bool:
    """Whether a part of gzip may begin here: three bytes alone are everywhere."""
    try:
        return bool(zlib.decompressobj(31).decompress(raw[:_TRIED], CHUNK)) or len(raw) < _TRIED
    except zlib.error:
        return False
