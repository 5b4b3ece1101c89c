"""What is kept of a file for a net elsewhere gives the net what it would have seen where the file was read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from anybody_clips import write_film

from uniform_core.errors import Rejection
from uniform_core.fingerprint import file_sha256
from uniform_core.media import Sandbox
from uniform_core.metrics.loading import AudioLoading, Loading, VideoLoading
from uniform_core.metrics.originals.extractors import (
    Layers,
    PictureExtractor,
    SoundExtractor,
    StreamedFarneback,
    Watcher,
)
from uniform_core.metrics.originals.handed import kept, looked
from uniform_core.metrics.originals.reader import Look, look_at

PICTURE = Loading(video=VideoLoading(window_frames=5, window="random"), reader="streamed")
SOUND = Loading(audio=AudioLoading(channels="mean", remove_dc=True), reader="streamed")


class _Sum(Watcher):
    def __init__(self, least: int) -> None:
        self._least, self._sums = least, []

    def see(self, frame_HW3: np.ndarray) -> None:
        self._sums.append(int(frame_HW3.sum()))

    def layers(self, *, rate_hz: float | None) -> Layers | Rejection:
        if len(self._sums) < self._least:
            return Rejection("too_short", f"{self._least} frames expected, {len(self._sums)} found")
        return {"features": np.array(self._sums), "seen_hz": np.array(rate_hz)}


@dataclass(frozen=True)
class Eye(PictureExtractor):
    """A net that adds up what it sees."""

    config: int = 0
    least: int = 1
    name = "eye"
    is_windowed = True
    fingerprint = "eye"

    def watch(self) -> Watcher:
        return _Sum(self.least)


@dataclass(frozen=True)
class Ear(SoundExtractor):
    """A net that adds up what it hears."""

    config: int = 0
    name = "ear"
    fingerprint = "ear"

    def hear(self, waveform_N: np.ndarray, *, rate_hz: int) -> Layers | Rejection:
        return {"features": np.array([waveform_N.sum(), rate_hz])}


@pytest.mark.parametrize("least", [1, 6])
def test_a_net_elsewhere_finds_what_it_would_have_found(tmp_path: Path, least: int) -> None:
    path = write_film(tmp_path / "a.mp4", 3)
    flow = Look(StreamedFarneback(), Loading(video=VideoLoading(), reader="streamed"))
    looks = [Look(Eye(least=least), PICTURE), Look(Ear(), SOUND), flow]
    content = file_sha256(path)
    with Sandbox() as sandbox:
        direct = look_at(sandbox, path, looks, content_sha256=content)
        handed = look_at(sandbox, path, [kept(look) for look in looks], content_sha256=content)
    assert kept(flow) is flow
    for look, expected, found in zip(looks, direct, handed, strict=True):
        assert not isinstance(found, Rejection)
        made = looked(look.extractor, found)
        if isinstance(expected, Rejection):
            assert made == expected
            continue
        assert not isinstance(made, Rejection)
        assert made.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(made[name], array)
    assert isinstance(direct[0], Rejection) == (least == 6)
