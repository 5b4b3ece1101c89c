"""The same frames and sound give the same bytes, whatever lies in the memory that an encoder is handed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import media_files
import numpy as np

from uniform_core.media import CanonicalForm, write_mp4
from uniform_core.media.encoder import ClipEncoder

FORM = CanonicalForm(duration_s=2.0, video_rate_hz=17, short_side_px=64)
TIMES = 120
FRAMES_THWC = np.stack([media_files.picture(n, n / 17, media_files.Recipe()) for n in range(FORM.frames)])


def littered(times: int) -> Iterator[int]:
    """Counts, and leaves blocks of many sizes, filled at random, in the heap between them."""
    chance, litter = np.random.default_rng(0), []
    for number in range(times):
        yield number
        for _ in range(40):
            litter.append(np.full(int(chance.integers(1000, 400_000)), chance.integers(256), np.uint8))
            if len(litter) > 30:
                litter.pop(int(chance.integers(30)))


def test_of_a_canonical_clip() -> None:
    made = set()
    for _ in littered(TIMES):
        encoder = ClipEncoder((media_files.WIDTH, media_files.HEIGHT), FORM)
        for frame_HWC in FRAMES_THWC:
            encoder.add(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24").reformat(format="yuv420p"))
        made.add(encoder.finish(np.zeros(FORM.samples, np.int16)))
    assert len(made) == 1


def test_of_a_clip_for_people(tmp_path: Path) -> None:
    made = set()
    for _ in littered(TIMES):
        path = write_mp4(
            tmp_path / "a.mp4", FRAMES_THWC, np.zeros(32_000, np.float32), video_rate_hz=17, audio_rate_hz=16_000
        )
        made.add(path.read_bytes())
    assert len(made) == 1
