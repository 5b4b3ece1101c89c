"""The words that yt-dlp gets. They come from here alone: no config file, no plugin, no archive of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# One request where the progressive 360p file is there; the smallest there is where all have more than 360 lines.
# Source: facts of yt-dlp's selector, checked with the package.
FORMAT: Final = (
    "bv*[height<=360][ext=mp4][vcodec^=avc1]+ba[ext=m4a]/b[height<=360][ext=mp4]/bv*[height<=360]+ba/b[height<=360]"
    "/wv*+ba/w"
)
STEM: Final = "got"  # of the file in its folder: no id and no title becomes a name


@dataclass(frozen=True)
class Bounds:
    """How much a video may take. `most_bytes` holds for each file that is written, by whatever program."""

    most_bytes: int
    silence_s: float
    retries: int


def options(
    bounds: Bounds,
    *,
    js_runtime: Path,
    ffmpeg: Path,
    folder: Path,
    cache: Path,
    is_youtube: bool,
    cookies: Path | None = None,
) -> dict[str, Any]:
    """The parameters of `YoutubeDL`, as JSON can hold them."""
    return {
        "format": FORMAT,
        "outtmpl": {"default": f"{str(folder).replace('%', '%%')}/{STEM}.%(ext)s"},
        "merge_output_format": "mp4",
        "js_runtimes": {"deno": {"path": str(js_runtime)}},
        "ffmpeg_location": str(ffmpeg),
        "cachedir": str(cache),
        "cookiefile": None if cookies is None else str(cookies),
        "allowed_extractors": ["youtube"] if is_youtube else ["generic"],
        "noplaylist": True,
        "playlist_items": "1",
        "max_filesize": bounds.most_bytes,
        "socket_timeout": bounds.silence_s,
        "retries": bounds.retries,
        "fragment_retries": bounds.retries,
        "extractor_retries": bounds.retries,
        "file_access_retries": 0,
        "skip_unavailable_fragments": False,
        "concurrent_fragment_downloads": 1,
        "continuedl": False,
        "overwrites": True,
        "updatetime": False,
        "fixup": "never",  # we decode what comes, and say what is wrong with it
        "noprogress": True,
        "color": {"stdout": "never", "stderr": "never"},
        "external_downloader_args": {
            "ffmpeg_i": ["-nostdin", "-loglevel", "error", "-rw_timeout", str(round(bounds.silence_s * 1e6))],
            "ffmpeg_o": ["-preset", "veryfast", "-crf", "18", "-threads", "1"],
        },
    }


def of_section(words: Mapping[str, Any], section: tuple[float, float]) -> dict[str, Any]:
    """The parameters for a part of a video, in seconds: cut at any frame, and so encoded anew.

    Source: a copy cut begins up to a group of pictures early, in yt-dlp as in ffmpeg.
    """
    start_s, end_s = section
    parts = [{"start_time": start_s, "end_time": end_s}]
    return {**words, "download_ranges": lambda _info, _made: parts, "force_keyframes_at_cuts": True}
