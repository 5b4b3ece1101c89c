"""The way from a path to an open `Source`, or to the reason why there is none.

The file is read through a Python file object, so that a name is only ever a name: no protocols, no patterns, no
playlists that point elsewhere.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from uniform_core.media.declared import is_cut_inside_a_box
from uniform_core.media.forms import Limits
from uniform_core.media.refusal import Refused, file_failed, reading, short
from uniform_core.media.source import Source

DEMUXERS = (
    "mov,matroska,avi,mpeg,mpegts,mpegvideo,ogg,asf,flv,nut,mxf,dv,h264,hevc,m4v,ivf,rm,wtv,gif,apng,yuv4mpegpipe,swf,"
    "wav,w64,flac,mp3,aac,aiff,au,caf,amr,ac3,eac3"
)
"""Containers of pictures or sound only: FFmpeg would also read playlists, subtitles and pictures of text."""

SIGNATURES = (b"\x1aE\xdf\xa3", b"OggS", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV\x01", b"fLaC", b"ID3")
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free")
RIFF_FORMS = (b"AVI ", b"WAVE")


def check_file(path: Path) -> None:
    """Raises Refused for what cannot hold media at all."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise Refused("missing_file", "a file expected, nothing found at this path", terminal=False) from error
    except OSError as error:
        raise Refused("unreadable", f"a readable file expected, {short(error)}", terminal=False) from error
    if not stat.S_ISREG(status.st_mode):
        raise Refused("not_a_file", "a regular file expected, a folder, pipe or device found")
    if status.st_size == 0:
        raise Refused("empty_file", "media expected, 0 bytes found")


@contextmanager
def open_source(path: Path, limits: Limits, *, video: bool = True, audio: bool = True) -> Iterator[Source]:
    """An open `Source`. Raises Refused with the true reason where the file is no media."""
    check_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise Refused("unreadable", f"a readable file expected, {short(error)}", terminal=False) from error
    with file:
        head = file.read(64)
        file.seek(0)
        options = {"format_whitelist": DEMUXERS, "protocol_whitelist": ""}
        try:
            container = av.open(file, metadata_errors="ignore", container_options=options)
        except (MemoryError, av.error.MemoryError) as error:
            raise Refused("memory", "opening: more memory needed than the worker may have") from error
        except av.FFmpegError as error:
            if head[4:8] in BOXES or head.startswith(SIGNATURES) or head[8:12] in RIFF_FORMS:
                raise Refused(
                    "undecodable", f"a whole container expected, this one cannot be opened: {short(error)}"
                ) from error
            raise Refused("not_media", f"a media container expected, none recognised ({short(error)})") from error
        except OSError as error:
            raise file_failed(error) from error
        with container, reading("decoding"):
            if not any(stream.type in ("video", "audio", "subtitle") for stream in container.streams):
                raise Refused("undecodable", "a whole container expected, one without any known stream found")
            source = Source(container, limits, video=video, audio=audio)
            lacks = (video and source.video is None) or (audio and source.audio is None)
            if lacks and source.container_name.startswith("mov"):
                with path.open("rb") as again:  # the container reads the other one
                    if is_cut_inside_a_box(again):
                        raise Refused("truncated", "a whole index of streams expected, the file ends before it does")
            yield source
