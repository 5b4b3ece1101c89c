"""What YouTube and yt-dlp say, and what it means. Read from above: a later row is not asked where one before it speaks.

"Video unavailable" stands before many things that YouTube goes on to say, so what is gone for good comes late.
"""

from __future__ import annotations

import re
from typing import Final

from uniform_core.fetching.classes import FailureClass

# Source: yt-dlp 2026.8 (extractor/youtube, YoutubeDL, downloader), and what its users report.
_TABLE: Final[tuple[tuple[FailureClass, str], ...]] = (
    (
        FailureClass.CONFIG,
        r"no supported javascript runtime"
        r"|ff(mpeg|probe)\b.{0,40}(is not installed|not found|could not be found)|failed to load cookies",
    ),
    (FailureClass.BOTWALL, r"confirm you.?re not a bot|captcha challenge|http error 429|too many requests"),
    (FailureClass.RATE_LIMIT, r"content isn.?t available, try again later|rate-limited by youtube"),
    (FailureClass.AGE, r"confirm your age|age.restricted|inappropriate for some users"),
    (
        FailureClass.GEO,
        r"(not|n.t) (made this video )?available in your (country|location|region)|geo.?restrict"
        r"|blocked (it )?in your country",
    ),
    (FailureClass.PRIVATE, r"private video|video is private"),
    (FailureClass.ACCESS, r"members.only|channel.?s members|premium members|join this channel|requires payment"),
    (FailureClass.FUTURE, r"premieres? |live event will begin|offline\. |live stream offline"),
    (FailureClass.DENIED, r"drm protected"),
    (
        FailureClass.DEAD,
        r"video (is )?unavailable|(has been|video) removed|account.{0,60}terminated"
        r"|copyright (claim|grounds)|no longer available"
        r"|video is not available|(video|recording) (does not exist|is not available)|http error (404|410)",
    ),
    (FailureClass.NO_FORMAT, r"requested format is not available|only images are available"),
    (FailureClass.EXPIRED_URL, r"http error 403|(returned|error) 403 forbidden|403 forbidden"),
    (FailureClass.TOO_LARGE, r"larger than max-filesize|file too large|exited with code -25\b|more bytes than"),
    (
        FailureClass.TRANSIENT,
        r"http error (408|425|5\d\d)|server returned 5xx|timed? ?out|bytes read|content too short|failed to resolve"
        r"|(name|node).{0,20}not known|name resolution|getaddrinfo|connection (was )?(reset|refused|aborted|broken)"
        r"|remote end closed|closed the connection|network is unreachable|no route to host|input/output error|ssl"
        r"|end of file",
    ),
    (
        FailureClass.BAD_MEDIA,
        r"(ffmpeg|with) (exited with )?code|did not get any data blocks|file is empty|conversion failed|postprocessing"
        r"|invalid data found|moov atom not found|unsupported url",
    ),
)
_ROWS: Final = tuple((failure, re.compile(pattern)) for failure, pattern in _TABLE)
_ITEM: Final = re.compile(r"\[[a-z:]{1,40}\] [a-z0-9_-]{1,40}: ")  # whose message it is: an id may spell any word
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_QUERIES: Final = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']+")
MOST_LETTERS: Final = 500


def of_message(text: str) -> FailureClass | None:
    """The class of what was said; None for what nobody has seen yet.

    >>> of_message("ERROR: [youtube] x: Video unavailable. This content isn’t available, try again later.").value
    'rate_limit'
    """
    low = _ITEM.sub("", text.lower())
    return next((failure for failure, pattern in _ROWS if pattern.search(low)), None)


def plain(text: str) -> str:
    """What was said in one line that any table can hold, without colours, and without the secrets of addresses.

    >>> plain("\x1b[31mERROR:\x1b[0m  no answer of https://rr1.example/video?sig=abc")
    'no answer of https://rr1.example/video?…'
    """
    bare = " ".join(_COLOURS.sub("", text).split()).removeprefix("ERROR:").strip()
    text_only = bare.encode("utf-8", "backslashreplace").decode()  # half a sign, as JSON can have it, is none
    return _QUERIES.sub(r"\1?…", text_only)[:MOST_LETTERS]
