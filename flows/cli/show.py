"""What a person sees: tables, sizes, times, and progress (a bar on a terminal, a line every 30 s elsewhere)."""

from __future__ import annotations

import json
import math
import re
import sys
import time
import unicodedata
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TextIO

from uniform_core.progress import ProgressEvent

LINE_EVERY_S = 30.0
_JOINERS = "\u200c\u200d"  # they shape letters and signs, and hide nothing


def print_json(value: Any) -> None:
    """One JSON value on stdout; times and paths as text, null for a number that JSON has no word for."""
    print(json.dumps(_finite(value), indent=2, default=str, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


SHOWN = 50  # rows of a table where a person did not say how many


def row_limit(limit: int | None, *, json: bool) -> int | None:
    """How many rows to print where `--limit` says so (0: all), or says nothing: 50 to a person, all to a script."""
    if limit is None:
        return None if json else SHOWN
    return limit or None


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as aligned text; numbers to the right, nulls as a dash, what is no letter or sign as escapes."""
    if not rows:
        return "(nothing)"
    names = list(columns or rows[0])
    titles = [_cell(name) for name in names]
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(title), *(len(line[i]) for line in cells)) for i, title in enumerate(titles)]
    right = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    lines = [titles, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same in Markdown, whose signs in cells mean nothing."""
    lines = [list(rows[0]) if rows else [], *([_cell(value) for value in row.values()] for row in rows)]
    plain_lines = [[re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", str(cell)) for cell in line] for line in lines]
    written = ["| " + " | ".join(line) + " |" for line in plain_lines]
    return "\n".join([written[0], "|" + " --- |" * len(lines[0]), *written[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = plain(str(value).replace("\n", " "))
    return text if len(text) <= 80 else text[:77] + "…"


def plain(text: str) -> str:
    r"""The text with what a terminal would obey instead of show (controls, directions, line separators) as escapes.

    >>> plain("a\x1b[2Jb\u202e.mp4")
    'a\\x1b[2Jb\\u202e.mp4'
    """
    return "".join(letter.encode("unicode_escape").decode() if _is_obeyed(letter) else letter for letter in text)


def _is_obeyed(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in _JOINERS


def size(count: int | float) -> str:
    """Bytes in words: 1536 → '1.5 KiB'."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def seconds(value: float) -> str:
    """Seconds in words: 125.0 → '2 min 5 s'."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


class ProgressPrinter:
    """A listener of progress events: one bar a stage on a terminal, one line a stage every 30 s elsewhere."""

    def __init__(self, stream: TextIO | None = None, *, clock: Any = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._live = self._stream.isatty()
        self._stage: str | None = None
        self._started = 0.0
        self._said = 0.0
        self._last: ProgressEvent | None = None

    def __call__(self, event: ProgressEvent) -> None:
        now = self._clock()
        if event.stage != self._stage:
            self._close_line()
            self._stage, self._started, self._said = event.stage, now, now
        self._last = event
        if self._live:
            self._stream.write("\r\x1b[2K" + self._line(event, now))
            self._stream.flush()
        elif now - self._said >= LINE_EVERY_S:
            self._stream.write(self._line(event, now) + "\n")
            self._stream.flush()
            self._said = now

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_line()
        self._stage = None

    def _line(self, event: ProgressEvent, now: float) -> str:
        spent = now - self._started
        share = event.done / event.total if event.total else 0.0
        left_s = event.left_s
        if left_s is None and 0 < share < 1 and spent > 1:
            left_s = spent / share - spent
        left = f", {seconds(left_s)} left" if left_s else ""
        bar = "█" * round(24 * share) + "·" * (24 - round(24 * share)) if self._live else f"{share:4.0%}"
        failed = f", {event.failed} rejected" if event.failed else ""
        note = f", {event.note}" if event.note else ""
        return f"{event.stage:<12} {bar} {event.done}/{event.total}{failed}{note} ({seconds(spent)}{left})"

    def _close_line(self) -> None:
        if self._live and self._stage is not None:
            self._stream.write("\n")
            self._stream.flush()
