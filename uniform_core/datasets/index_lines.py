"""The lines of an index file: each a row of fields, or a reason why it is none. Nothing of a file is believed.

A line is read for itself, so that a stray quote spoils its own line and not the rest of the file; memory is bounded by
the longest line that is allowed, whatever comes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from uniform_core.errors import ConfigError
from uniform_core.types import Window

MAX_LINE_BYTES: Final = 64 << 10
MAX_INDEX_BYTES: Final = 512 << 20  # the largest that is published, AudioSet's unbalanced list, has 100 MB
_SHOWN: Final = 60


class BadValueError(ValueError):
    """A field is not what its list has there; the message says what was expected and found."""


@dataclass(frozen=True)
class Form:
    """How a list is written. `header` is its first line, where it has one."""

    columns: int
    separator: str = ","
    header: tuple[str, ...] | None = None
    comment: str | None = None  # how lines begin that are passed over
    is_quoted: bool = True  # fields may stand in double quotes, which are doubled inside


@dataclass(frozen=True)
class Row:
    """The fields of one line, without the spaces around them."""

    file: str
    number: int  # of the line, from 1
    fields: tuple[str, ...]


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be used, and why."""

    file: str
    number: int
    reason: str


@dataclass(frozen=True)
class ListedClip:
    """What a line of a list says. `span` is where the clip lies in its video; None is the whole video."""

    file: str
    number: int  # of the line
    source_id: str
    video_id: str
    split: str
    span: Window | None = None
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"{self.file}, line {self.number}"


def read_rows(path: Path, form: Form, *, name: str) -> Iterator[Row | BadLine]:
    """Every line that says something, in order; blank lines and comments are passed over.

    A BOM and CRLF do not matter. Raises ConfigError for a file that cannot be read, that is too long to be a list, or
    that has another header: it is another file.
    """
    header = form.header
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise _error(path, expected=f"at most {MAX_INDEX_BYTES:,} bytes", found=f"{path.stat().st_size:,}")
        with path.open("rb") as file:
            for number, raw in enumerate(_raw_lines(file), start=1):
                row = _row(raw, form, number=number, name=name)
                if row is None:
                    continue
                if header is not None:
                    _check_header(path, row, header)
                    header = None
                    continue
                yield row
    except OSError as error:
        raise _error(path, expected="a file that can be read", found=error.strerror or str(error)) from error


def shown(text: str) -> str:
    """The beginning of a text, with what cannot be seen written out: safe in any message, table or terminal.

    >>> shown("=cmd()\\x00")
    "'=cmd()\\\\x00'"
    """
    return repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")


def _raw_lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """The lines without their ends and spaces before these; None for one that is too long, passed over in pieces."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line.rstrip(b"\r\n ")
            continue
        yield None
        while (piece := file.readline(MAX_LINE_BYTES)) and not piece.endswith(b"\n"):
            pass


def _row(raw: bytes | None, form: Form, *, number: int, name: str) -> Row | BadLine | None:
    if raw is None:
        return BadLine(name, number, f"at most {MAX_LINE_BYTES:,} bytes expected, a longer line found")
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        found = shown(raw.decode(errors="backslashreplace"))
        return BadLine(name, number, f"UTF-8 text expected, byte {error.start} of {found} is not")
    if form.comment is not None and text.startswith(form.comment):
        return None
    try:
        return Row(name, number, _fields(text, form))
    except BadValueError as error:
        return BadLine(name, number, str(error))


def _fields(text: str, form: Form) -> tuple[str, ...]:
    """The fields of a line. Raises BadValueError."""
    try:
        reader = csv.reader([text], delimiter=form.separator, skipinitialspace=True, strict=True)
        found = next(reader) if form.is_quoted else text.split(form.separator)
    except csv.Error as error:
        raise BadValueError(f"a line of fields expected, {shown(text)} found ({error})") from error
    if len(found) != form.columns:
        raise BadValueError(f"{form.columns} fields expected, {len(found)} found in {shown(text)}")
    fields = tuple(field.strip(" ") for field in found)
    unseen = next((letter for field in fields for letter in field if not letter.isprintable()), None)
    if unseen is not None:  # controls, what turns the direction of writing or has no width: no list has a use for them
        raise BadValueError(f"text that can be seen expected, {unseen!r} found in {shown(text)}")
    return fields


def _check_header(path: Path, row: Row | BadLine, header: tuple[str, ...]) -> None:
    if not isinstance(row, Row) or row.fields != header:
        found = row.reason if isinstance(row, BadLine) else shown(",".join(row.fields))
        raise _error(path, expected=f"the header {','.join(header)}", found=found)


def _error(path: Path, *, expected: str, found: str) -> ConfigError:
    return ConfigError(str(path), expected=expected, found=found, fix="Name the list that its publisher gives.")
