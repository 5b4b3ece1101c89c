"""One decode of a file for everyone who looks at it, each by a loading rule of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from uniform_core.errors import ConfigError, Rejection
from uniform_core.media.forms import StreamRule
from uniform_core.media.results import FramePiece, StreamedMedia
from uniform_core.media.sandbox import Sandbox
from uniform_core.metrics.loading import Loading
from uniform_core.metrics.originals.extractors import (
    Layers,
    OriginalExtractor,
    PictureExtractor,
    SoundExtractor,
    Watcher,
)
from uniform_core.metrics.originals.frames import FrameFeed
from uniform_core.metrics.originals.sound import LoadedSound, loaded_sound


@dataclass(frozen=True)
class Look:
    """One extractor that looks at a file by one rule."""

    extractor: OriginalExtractor
    loading: Loading


def look_at(sandbox: Sandbox, path: Path, looks: Sequence[Look], *, content_sha256: str) -> list[Layers | Rejection]:
    """What each look finds in a file, or why nothing: the file is read once, its frames are not kept.

    `content_sha256` is the file's; the place of a random window depends on it. Raises ConfigError for a rule that its
    extractor cannot look by; StorageError.
    """
    for look in looks:
        _require_rule(look)
    pictures = _Pictures([look for look in looks if isinstance(look.extractor, PictureExtractor)], content_sha256)
    sounds = [look for look in looks if isinstance(look.extractor, SoundExtractor)]
    media = sandbox.stream(path, StreamRule(_streams(bool(pictures.looks), bool(sounds), looks)), pictures.see)
    if isinstance(media, Rejection):
        return [media for _ in looks]
    heard = _heard(media, sounds)
    return [heard[look] if look in heard else pictures.layers(look, media) for look in looks]


def _streams(sees: bool, hears: bool, looks: Sequence[Look]) -> Literal["both", "video", "audio"]:
    """Sound that starts with the picture has to know when that does."""
    by_picture = any(look.loading.audio is not None and look.loading.audio.starts == "picture" for look in looks)
    if hears:
        return "both" if sees or by_picture else "audio"
    return "video"


def _require_rule(look: Look) -> None:
    extractor, loading = look.extractor, look.loading
    rule = getattr(loading, extractor.modality.value)
    problem = None
    if rule is None:
        problem = f"a rule for {extractor.modality}", "none"
    elif loading.reader != "streamed":
        problem = "a rule of the streamed reader", f"reader {loading.reader}"
    elif isinstance(extractor, PictureExtractor) and extractor.is_windowed and rule.window_frames is None:
        problem = "window_frames, since it holds every frame that it sees", "none"
    if problem is not None:
        fix = "Take the loading of one of the named protocols (`uniform protocols show NAME`)."
        raise ConfigError(f"loading of {extractor.name}", expected=problem[0], found=problem[1], fix=fix)


class _Pictures:
    """The frames of a file on their way: once through each rule, then to each who looks by it."""

    def __init__(self, looks: Sequence[Look], content: str) -> None:
        self.looks, self._content = looks, content
        self._watchers: dict[Look, Watcher] = {
            look: look.extractor.watch() for look in looks if isinstance(look.extractor, PictureExtractor)
        }
        self._feeds: dict[str, FrameFeed] = {}
        self._first_s: float | None = None

    def see(self, piece: FramePiece) -> bool:
        """Take in a piece; whether more can change anything."""
        self._open(piece.rate_hz)
        if self._first_s is None and piece.times_s:
            self._first_s = piece.times_s[0]
        for frame_HW3, time_s in zip(piece.frames_THWC, piece.times_s, strict=True):
            for feed in self._feeds.values():
                feed.take(frame_HW3, time_s - (self._first_s or 0.0))
        return any(feed.wants_more for feed in self._feeds.values())

    def layers(self, look: Look, media: StreamedMedia) -> Layers | Rejection:
        """What one of them saw, once the file has ended."""
        if "video" in media.lacks:
            return media.lacks["video"]
        self._open(media.video_rate_hz)
        feed = self._feeds[_key(look)]
        problem = feed.finish()
        if problem is not None:
            return problem
        found = self._watchers[look].layers(rate_hz=feed.rate_hz)
        if isinstance(found, Rejection):
            return found
        rate = {} if feed.rate_hz is None else {"rate_hz": np.array(feed.rate_hz)}
        return {**found, **rate, "movement": np.array(feed.movement)}

    def _open(self, rate_hz: float | None) -> None:
        """The feeds, when the first piece says at which rate."""
        if self._feeds:
            return
        for look in self.looks:
            rule = look.loading
            see = _to_all([self._watchers[other].see for other in self.looks if _key(other) == _key(look)])
            self._feeds.setdefault(_key(look), FrameFeed(rule, rate_hz=rate_hz, content=self._content, see=see))


def _to_all(seers: list[Callable[[np.ndarray], None]]) -> Callable[[np.ndarray], None]:
    def see(frame_HW3: np.ndarray) -> None:
        for seer in seers:
            seer(frame_HW3)

    return see


def _key(look: Look) -> str:
    return look.loading.only(look.extractor.modality).part_hash


def _heard(media: StreamedMedia, looks: Sequence[Look]) -> dict[Look, Layers | Rejection]:
    """What each hears; a rule that several share is followed once."""
    sounds: dict[str, LoadedSound | Rejection] = {}
    heard: dict[Look, Layers | Rejection] = {}
    for look in looks:
        if _key(look) not in sounds:
            sounds[_key(look)] = loaded_sound(media, look.loading)
        sound, extractor = sounds[_key(look)], look.extractor
        assert isinstance(extractor, SoundExtractor), "sorted by the caller"
        found = sound if isinstance(sound, Rejection) else extractor.hear(sound.waveform_N, rate_hz=sound.rate_hz)
        if isinstance(sound, LoadedSound) and not isinstance(found, Rejection):
            found = {**found, "peak": np.array(sound.peak)}
        heard[look] = found
    return heard
