"""The process in which yt-dlp runs: it reads requests and answers in JSON lines.

`python -P -m uniform_core.fetching.ytdlp.child MOST_BYTES PARENT_PID FFMPEG`. It leads a process group of its own, so
that ffmpeg and the JavaScript runtime end with it; it ends with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from uniform_core.fetching.outcome import Failed
from uniform_core.fetching.ytdlp.options import of_section
from uniform_core.media.worker import PR_SET_PDEATHSIG, Channel

Message = dict[str, Any]
LINES: Final = 60
LINE_LETTERS: Final = 400
TAIL_BYTES: Final = 4096


class Log:
    """What yt-dlp says, the last of it: its `logger`."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES)

    def debug(self, line: str) -> None:
        self.lines.append(line[:LINE_LETTERS])

    info = warning = error = debug


class Answerer:
    """Answers requests; it remembers the video that it looked at last, so that getting it asks nothing twice.

    `make` is `yt_dlp.YoutubeDL`; `stderr` gives what the programs that it started wrote since it was last called.
    """

    def __init__(self, make: Callable[[dict[str, Any]], Any], *, stderr: Callable[[], str] = lambda: "") -> None:
        self._make, self._stderr = make, stderr
        self._url = ""
        self._info: dict[str, Any] = {}

    def answer(self, request: Mapping[str, Any]) -> Message:
        """`looked`, `got`, `failed` or `full`. Anything else that goes wrong here is a failure of the video, too."""
        from uniform_core.fetching.ytdlp.failures import DiskFullError, of_youtube  # yt-dlp takes a second to import

        log = Log()
        self._stderr()
        try:
            return self._looked(request, log) if request["kind"] == "look" else self._got(request, log)
        except DiskFullError as error:
            return {"kind": "full", "message": str(error)}
        except Exception as error:  # whatever a page made yt-dlp stumble over: one video must not stop a stage
            try:
                failed = of_youtube(error, [*self._stderr().splitlines(), *log.lines])
            except DiskFullError as full:
                return {"kind": "full", "message": str(full)}
            return _failed(failed)

    def _looked(self, request: Mapping[str, Any], log: Log) -> Message:
        self._url, self._info = "", {}
        with self._make({**request["options"], "logger": log}) as made:
            info = made.extract_info(request["url"], download=False)
            info = made.sanitize_info(info, remove_private_keys=True) or {}
        formats = info.get("requested_formats") or [info]
        duration_s = info.get("duration")
        self._url, self._info = request["url"], info
        return {
            "kind": "looked",
            "is_video": info.get("_type", "video") == "video" and bool(formats[0].get("url")),
            "is_live": info.get("live_status") in ("is_live", "is_upcoming", "post_live"),
            "duration_s": float(duration_s) if isinstance(duration_s, int | float) and duration_s > 0 else None,
            "media_url": str(formats[0].get("url") or ""),
            "format": str(info.get("format_id") or ""),
        }

    def _got(self, request: Mapping[str, Any], log: Log) -> Message:
        if request["url"] != self._url:
            raise LookupError("what is got was to be looked at before")
        words = {**request["options"], "logger": log}
        if request["section"] is not None:
            words = of_section(words, tuple(request["section"]))
        with self._make(words) as made:
            made.process_ie_result(json.loads(json.dumps(self._info)), download=True)
        folder = Path(request["folder"])
        files = [path for path in folder.iterdir() if path.is_file() and path.suffix not in (".part", ".ytdl")]
        if len(files) != 1:
            said = next((line for line in reversed(log.lines) if line.strip()), "nothing was said")
            raise RuntimeError(f"no file came: {said}")
        return {"kind": "got", "path": str(files[0])}


def _failed(failed: Failed) -> Message:
    return {
        "kind": "failed",
        "failure": failed.failure.value,
        "message": failed.message,
        "http_status": failed.http_status,
        "retry_after_s": failed.retry_after_s,
    }


def stderr_reader() -> Callable[[], str]:
    """What gives the end of what was written to file descriptor 2 (a file that is ours) since it was last called."""
    begin = os.lseek(2, 0, os.SEEK_END)

    def read() -> str:
        nonlocal begin
        end = os.lseek(2, 0, os.SEEK_END)
        tail = os.pread(2, TAIL_BYTES, max(begin, end - TAIL_BYTES)) if end > begin else b""
        begin = end
        return tail.decode(errors="replace")

    return read


def confine(most_bytes: int, parent_pid: int) -> None:
    """No file grows beyond the bound, no core is written, and the group ends with the parent (Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, _end_group)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent_pid:  # it was gone before we asked
            os._exit(1)


def _end_group(*_given: object) -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    most_bytes, parent_pid, ffmpeg = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    channel = Channel()
    confine(most_bytes, parent_pid)
    from yt_dlp import YoutubeDL
    from yt_dlp.globals import plugin_dirs
    from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

    plugin_dirs.value = []
    FFmpegPostProcessor._ffmpeg_location.set(ffmpeg)  # as its command line does: for a section it asks without options
    answerer = Answerer(YoutubeDL, stderr=stderr_reader())
    channel.say("ready")
    for line in sys.stdin.buffer:
        answer = answerer.answer(json.loads(line))
        channel.say(**answer)
    _end_group()


if __name__ == "__main__":
    main()
