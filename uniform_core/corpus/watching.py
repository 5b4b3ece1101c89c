"""Real and generated clips as people watch them. Axes: T time, H height, W width, N samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from uniform_core.config import RunConfig
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.media import CanonicalReader, DecodeRule, Sandbox

Row = Mapping[str, Any]
Watched = tuple[np.ndarray, np.ndarray]  # frames uint8 [T, H, W, 3], sound float32 [N]


class Watcher:
    """Reads real and generated clips at the size of the spec; what cannot be read is a reason."""

    def __init__(self, config: RunConfig, media_dir: Path) -> None:
        self._spec, self._resize, self._media_dir = config.spec, config.resize, media_dir
        self._reader, self._sandbox = CanonicalReader(), Sandbox()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sandbox.close()

    def truth(self, clip: Row) -> Watched | str:
        """A canonical clip as the model sees it."""
        size_px = (self._spec.height_px, self._spec.width_px)
        try:
            return self._reader.read(self._media_dir / clip["path"], size_px=size_px, resize=self._resize)
        except IntegrityError as error:
            return str(error)

    def made(self, row: Row) -> Watched | str:
        """A generated file as it lies on disk."""
        spec = self._spec
        rule = DecodeRule(rate_hz=spec.video_rate_hz, audio_rate_hz=spec.audio_rate_hz, duration_s=spec.duration_s)
        decoded = self._sandbox.decode(self._media_dir / row["path"], rule)
        if isinstance(decoded, Rejection):
            return f"{decoded.error_class}: {decoded.message}"
        if decoded.frames_THWC is None or decoded.waveform_N is None:
            return "a picture and sound expected, one of them is missing"
        return decoded.frames_THWC, decoded.waveform_N
