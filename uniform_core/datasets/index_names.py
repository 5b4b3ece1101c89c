"""The names in indexes: ids of videos, moments in them, names of clips, labels. What is no such name is refused."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Final

from uniform_core.datasets.index_lines import BadValueError, shown
from uniform_core.types import Window

_YOUTUBE_ID: Final = re.compile(r"[A-Za-z0-9_-]{11}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")
_MS: Final = re.compile(r"[0-9]{1,9}")
_PADDED: Final = re.compile(r"[0-9]{6}")
_FORMULA: Final = ("=", "+", "-", "@")  # how a cell begins that a spreadsheet runs
MAX_LABEL_CHARS: Final = 200
MOST_SPAN_S: Final = 120.0  # the clips of all lists that are read here have 10 s at most


def youtube_id(text: str) -> str:
    """The id itself. Raises BadValueError for what is none."""
    if not _YOUTUBE_ID.fullmatch(text):
        raise BadValueError(f"a YouTube id of 11 letters, digits, - and _ expected, {shown(text)} found")
    return text


def seconds(text: str) -> float:
    """A moment in a video, s, to the millisecond. Raises BadValueError for what is none.

    >>> seconds("30"), seconds("30.000"), seconds("0.25")
    (30.0, 30.0, 0.25)
    """
    if not _SECONDS.fullmatch(text):
        raise BadValueError(f"seconds expected, {shown(text)} found")
    return float(round(Decimal(text), 3))


def span_of(start_s: float, end_s: float) -> Window:
    """The part of a video from one moment to another. Raises BadValueError where it is empty, or no clip any more."""
    if end_s <= start_s:
        raise BadValueError(f"an end after the start at {start_s:g} s expected, {end_s:g} s found")
    if end_s - start_s > MOST_SPAN_S:
        raise BadValueError(f"a clip of at most {MOST_SPAN_S:g} s expected, one of {end_s - start_s:.3f} s found")
    return Window(start_s, end_s)


def label_of(text: str) -> str:
    """A class as its list spells it. Raises BadValueError for what is none."""
    if not text or len(text) > MAX_LABEL_CHARS:
        raise BadValueError(f"a label of 1 to {MAX_LABEL_CHARS} characters expected, {shown(text)} found")
    if unicodedata.normalize("NFKC", text).startswith(_FORMULA):  # wide signs are signs, too
        raise BadValueError(f"a label expected, {shown(text)} found, which a spreadsheet would run")
    return text


def padded_name(video_id: str, start_s: float) -> str:
    """How VGGSound names a clip's file: the video and the second at which the clip begins.

    >>> padded_name("-0abcdefghi", 30.0)
    '-0abcdefghi_000030'

    Raises BadValueError for a start between two seconds: two clips would have one name.
    """
    if start_s != int(start_s):
        raise BadValueError(f"a clip that begins at a whole second expected, {start_s:g} s found")
    return f"{video_id}_{int(start_s):06d}"


def split_padded(name: str) -> tuple[str, float]:
    """The video and the start, s, of `padded_name`. Raises BadValueError."""
    video_id, _, start = name.rpartition("_")
    if not _PADDED.fullmatch(start):
        raise BadValueError(f"a name like ID_000030 expected, {shown(name)} found")
    return youtube_id(video_id), float(start)


def ms_name(video_id: str, start_s: float) -> str:
    """How AudioSet Strong names a clip: the video and the millisecond at which the clip begins.

    >>> ms_name("_0abcdefghi", 30.0)
    '_0abcdefghi_30000'
    """
    return f"{video_id}_{round(start_s * 1000)}"


def split_ms(name: str) -> tuple[str, float]:
    """The video and the start, s, of `ms_name`; an id may have underscores of its own. Raises BadValueError."""
    video_id, _, start = name.rpartition("_")
    if not _MS.fullmatch(start):
        raise BadValueError(f"a name like ID_30000 expected, {shown(name)} found")
    return youtube_id(video_id), int(start) / 1000


def split_ms_span(name: str) -> tuple[str, Window]:
    """The video and the part of it in a name like `ID_30000_40000`. Raises BadValueError."""
    before, _, end = name.rpartition("_")
    if not _MS.fullmatch(end):
        raise BadValueError(f"a name like ID_30000_40000 expected, {shown(name)} found")
    video_id, start_s = split_ms(before)
    return video_id, span_of(start_s, int(end) / 1000)
