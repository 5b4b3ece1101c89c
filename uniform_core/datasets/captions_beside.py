"""Captions that lie beside media files: `clip.txt` for `clip.mp4`, or a `captions.csv` of file and caption."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from uniform_core.errors import ConfigError, Rejection

CSV_NAME = "captions.csv"
MAX_CAPTION_CHARS = 4_000
MAX_TEXT_BYTES = 64 * 1024
MAX_CSV_BYTES = 64 * 1024 * 1024  # the driver needs about six times as much to read it
_SHOWN = 5  # mistakes that one message lists


def tidy_caption(text: str) -> str:
    """A caption on one line, in Unicode's composed form.

    >>> tidy_caption(" a red\\r\\nball ")
    'a red ball'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def read_caption_text(path: Path) -> str | Rejection:
    """The caption in a text file, or why it cannot be used: not UTF-8, too long, or nothing in it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        return Rejection("bad_caption", f"{path.name}: {error.strerror}", terminal=False)
    if len(data) > MAX_TEXT_BYTES:
        return Rejection("bad_caption", f"{path.name}: expected at most {MAX_TEXT_BYTES} bytes; found more")
    try:
        caption = tidy_caption(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Rejection("bad_caption", f"{path.name}: expected UTF-8 text; found byte {error.start} that is not")
    problem = caption_problem(caption)
    return caption if problem is None else Rejection("bad_caption", f"{path.name}: {problem}")


def caption_problem(caption: str) -> str | None:
    """What is wrong with a tidy caption, in words; None where nothing is."""
    if not caption:
        return "expected a caption; found an empty text"
    if len(caption) > MAX_CAPTION_CHARS:
        return f"expected a caption of at most {MAX_CAPTION_CHARS} characters; found {len(caption)}"
    if "\x00" in caption:
        return "expected text; found a NUL character"
    return None


def read_captions_csv(path: Path) -> Mapping[str, str]:
    """Captions by file name in composed form: relative to the table's folder, with forward slashes.

    A BOM, CRLF, quoted commas and line breaks, further columns and their order do not matter.
    Raises ConfigError that lists the rows that are wrong: what somebody has written by hand is better mended than
    half used.
    """
    rows = csv.reader(io.StringIO(_csv_text(path), newline=""), strict=True)
    captions: dict[str, str] = {}
    mistakes: list[str] = []
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if header.count("file") != 1 or header.count("caption") != 1:
            raise _csv_error(path, found=f"the header {','.join(header)[:200]!r}")
        file_column, caption_column = header.index("file"), header.index("caption")
        for row in rows:
            if not any(field.strip() for field in row):
                continue
            problem = _add_row(
                row, captions, columns=len(header), file_column=file_column, caption_column=caption_column
            )
            if problem:
                mistakes.append(f"line {rows.line_num}: {problem}")
    except csv.Error as error:
        raise _csv_error(path, found=f"line {rows.line_num}: {error}") from error
    if mistakes:
        more = f"; and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
        raise _csv_error(path, found="; ".join(mistakes[:_SHOWN]) + more)
    return captions


def _add_row(
    row: list[str], captions: dict[str, str], *, columns: int, file_column: int, caption_column: int
) -> str | None:
    """Put a row among the captions; what is wrong with it in words, where something is."""
    if len(row) != columns:
        return f"expected {columns} fields; found {len(row)}"
    name = unicodedata.normalize("NFC", row[file_column].strip())
    file, caption = str(PurePosixPath(name)), tidy_caption(row[caption_column])
    if file in ("", "."):
        return "expected a file name; found none"
    problem = caption_problem(caption)
    if problem is None and captions.get(file, caption) != caption:
        problem = f"a second, different caption for {file!r}"
    captions[file] = caption
    return problem


def _csv_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise _csv_error(path, found=f"{path.stat().st_size} bytes, more than {MAX_CSV_BYTES}")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _csv_error(path, found=f"byte {error.start}, which is not UTF-8") from error
    except OSError as error:
        raise _csv_error(path, found=error.strerror or str(error)) from error


def _csv_error(path: Path, *, found: str) -> ConfigError:
    return ConfigError(
        str(path),
        expected="UTF-8 text with a header and the columns file and caption",
        found=found,
        fix="Correct the table, or take it away to go on without its captions.",
    )
