"""Clips as captioners look at them: the frames that one picks, decoded on a core, and what is known of the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tasks.pool_actor import Read
from uniform_core.captioners import AnyCaptioner, CaptionerConfig, CaptionInput
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.media import CanonicalReader

NAMES = ("clip_id", "label", "source_caption", "source_id", "video_id")


class CaptionReader:
    """Makes of each row the `CaptionInput` of a captioner. Clips are opened only for those that look at frames."""

    def __init__(self, *, captioner_json: str, media_dir: str) -> None:
        self._config: CaptionerConfig = TypeAdapter(AnyCaptioner).validate_json(captioner_json)
        self._media_dir = Path(media_dir)
        self._reader = CanonicalReader() if self._config.frames else None

    def read(self, batch: Sequence[Mapping[str, Any]]) -> list[Read | Rejection]:
        """The input of each row, or why its clip could not be read."""
        return [self._read(row) for row in batch]

    def _read(self, row: Mapping[str, Any]) -> Read | Rejection:
        known: dict[str, Any] = {**{name: row[name] for name in NAMES}, "start_ms": int(row["start_ms"])}
        if self._reader is None:
            return Read(CaptionInput(**known), 0)
        try:
            picked = self._reader.picked(self._media_dir / row["path"], self._config.pick_frames)
        except IntegrityError as error:  # a canonical clip that was damaged after it was made
            return Rejection("damaged_clip", str(error), terminal=False)
        seen = CaptionInput(
            **known,
            frames_THWC=picked.frames_THWC,
            frame_indices=picked.indices,
            rate_hz=picked.rate_hz,
            clip_frames=picked.clip_frames,
        )
        return Read(seen, picked.frames_THWC.nbytes)
