"""What can come of asking one source for one clip. Every one is a value; none is raised."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from uniform_core.fetching.classes import FailureClass


@dataclass(frozen=True)
class Found:
    """A file that is the clip itself, from its first moment. `is_owned` is False where it is somebody's own copy.

    `origin` says where it came from, without secrets: a URL, or a path.
    """

    path: Path
    origin: str
    is_owned: bool = True


@dataclass(frozen=True)
class FoundVideo:
    """A temporary file to cut the clip from. Its first moment is second `starts_at_s` of the video."""

    path: Path
    origin: str
    starts_at_s: float = 0.0


@dataclass(frozen=True)
class Absent:
    """The source has no such clip, and never claimed to: the next source is asked."""


@dataclass(frozen=True)
class Addresses:
    """Where a source looks for all videos: what is the same of their addresses, up to `{video_id}`.

    Where `most_missing` of them in a row are not there, and none ever was, it is the address that is wrong.
    """

    pattern: str
    most_missing: int

    @property
    def prefix(self) -> str:
        """How the address of every video begins."""
        return self.pattern.partition("{video_id}")[0]


@dataclass(frozen=True)
class Failed:
    """The source failed at the clip. `retry_after_s` is what the host itself said.

    `is_final`: another try would find the same bytes, whatever the policy of the class is. `nothing_at` is where the
    host had no file for the video, which is the video's fault or the address's.
    """

    failure: FailureClass
    message: str
    http_status: int | None = None
    retry_after_s: float | None = None
    is_final: bool = False
    nothing_at: Addresses | None = None


@dataclass(frozen=True)
class Deferred:
    """The clip has had no try: its host is closed until then, for everybody. `reason` is what closed it."""

    host: str
    until: datetime
    reason: str = ""


Outcome = Found | FoundVideo | Absent | Failed | Deferred
