"""Canonical clips as codecs look at them: decoded on a core, without torch, so that a process for it starts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.pool_actor import Read
from uniform_core.config import RunConfig
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.media import CanonicalReader
from uniform_core.types import Modality


class ClipReader:
    """Reads of each row's clip the modality that the row is about, and no other.

    Video: every frame, uint8 [T, H, W, 3] at the spec's size; audio: the waveform, float32 [N].
    """

    def __init__(self, *, config_json: str, media_dir: str) -> None:
        config = RunConfig.model_validate_json(config_json)
        self._size_px, self._resize = (config.spec.height_px, config.spec.width_px), config.resize
        self._media_dir, self._reader = Path(media_dir), CanonicalReader()

    def read(self, batch: Sequence[Mapping[str, Any]]) -> list[Read | Rejection]:
        """The array of each row, or why the clip could not be read."""
        return [self._read(self._media_dir / row["path"], Modality(row["modality"])) for row in batch]

    def _read(self, path: Path, modality: Modality) -> Read | Rejection:
        try:
            array = self._frames(path) if modality is Modality.VIDEO else self._reader.sound(path)
        except IntegrityError as error:  # a canonical clip that was damaged after it was made
            return Rejection("damaged_clip", str(error), terminal=False)
        return Read(array, array.nbytes)

    def _frames(self, path: Path) -> np.ndarray:
        return self._reader.resize(self._reader.frames(path, None), size_px=self._size_px, resize=self._resize)
