"""What is to be fetched: the clips of one video, together, so that a video is asked for once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from uniform_core.types import Window

_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class WantedClip:
    """One clip. `source_id` is also the stem of its file, in our folder as in most copies that others made.

    `span` is where it lies in its video; None is the whole video. `other_stems` are what copies call it otherwise.
    Raises ValueError for an id that is no plain name.
    """

    source_id: str
    span: Window | None = None
    other_stems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _SAFE_NAME.fullmatch(self.source_id):
            raise ValueError(f"source_id should be a plain file name, found {self.source_id!r}")

    @property
    def stems(self) -> tuple[str, ...]:
        """What a copy may call it, in the order in which it is looked for."""
        return (self.source_id, *self.other_stems)


@dataclass(frozen=True)
class WantedVideo:
    """The clips of one video of one dataset. `url` is where the video itself is, where the dataset says so."""

    dataset: str
    video_id: str
    clips: tuple[WantedClip, ...]
    url: str | None = None
