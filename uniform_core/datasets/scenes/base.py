"""What a scene is: a class of audio-visual events, drawn once with its own attributes, times and looks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from uniform_core.datasets.scenes.canvas import Canvas, Colour
from uniform_core.datasets.scenes.events import Events, draw_events
from uniform_core.datasets.scenes.sound import finish

COLOURS: Mapping[str, Colour] = {
    "red": (0.90, 0.14, 0.12),
    "yellow": (0.95, 0.80, 0.10),
    "green": (0.15, 0.72, 0.22),
    "blue": (0.12, 0.34, 0.95),
    "purple": (0.62, 0.18, 0.85),
}
SIZES = ("small", "large")
PITCHES = ("low", "high")
_CHUNK_FRAMES = 64
_LONGEST_SOUND_S = 1.4


class Scene(ABC):
    """One take. Every random choice is made when it is drawn; painting and sounding it are pure.

    `choices` are the attributes that are dealt evenly; `period_s` is the range of the mean time between events.
    """

    label: ClassVar[str]
    template: ClassVar[str]
    choices: ClassVar[Mapping[str, tuple[str, ...]]]
    period_s: ClassVar[tuple[float, float]]
    jitter: ClassVar[float]

    def __init__(
        self, attributes: Mapping[str, str], *, period_s: float, duration_s: float, rng: np.random.Generator
    ) -> None:
        self.attributes = {**attributes, **self.tied(attributes)}
        self.duration_s = duration_s
        self.events: Events = draw_events(rng, period_s=period_s, jitter=self.jitter, duration_s=duration_s)
        # A little of each neighbour's light, so that no two reds are one red.
        shift = rng.uniform(-0.05, 0.05, 3)
        self.colour: Colour = _shifted(COLOURS[attributes["colour"]], shift)
        grey, tint = rng.uniform(0.10, 0.24), rng.uniform(-0.025, 0.025, 3)
        self.backdrop_top: Colour = _shifted((grey, grey, grey * 1.12), tint)
        self.backdrop_bottom: Colour = _shifted((grey * 1.5, grey * 1.5, grey * 1.6), tint)
        self._sound_seed = int(rng.integers(1 << 62))
        self.draw(rng)

    @classmethod
    def tied(cls, _attributes: Mapping[str, str]) -> Mapping[str, str]:
        """Attributes that follow from others."""
        return {}

    @property
    def caption(self) -> str:
        """What happens, in at most nine words."""
        return self.template.format(**self.attributes)

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> None:
        """Make the choices that only this scene has."""

    @abstractmethod
    def paint(self, canvas: Canvas, times_T: np.ndarray) -> None:
        """Paint the frames of these times, back to front."""

    @abstractmethod
    def play(self, track_N: np.ndarray, rng: np.random.Generator, *, rate_hz: int) -> None:
        """Add the sounds to an empty track."""

    def audible(self) -> list[tuple[int, float, float]]:
        """(number, time, strength) of the events whose sound reaches into the take."""
        return self.events.between(-_LONGEST_SOUND_S, self.duration_s)

    def frames(self, *, rate_hz: int, size_px: int) -> np.ndarray:
        """The whole picture, uint8 [T, H, W, 3]."""
        times_T = np.arange(round(self.duration_s * rate_hz)) / rate_hz
        pieces = []
        for start in range(0, len(times_T), _CHUNK_FRAMES):
            some_T = times_T[start : start + _CHUNK_FRAMES]
            canvas = Canvas.blank(len(some_T), size_px)
            canvas.backdrop(self.backdrop_top, self.backdrop_bottom)
            self.paint(canvas, some_T)
            pieces.append(canvas.pixels_uint8())
        return np.concatenate(pieces)

    def waveform(self, *, rate_hz: int) -> np.ndarray:
        """The whole sound, float32 [N]; the same on every call."""
        rng = np.random.default_rng(self._sound_seed)
        track_N = np.zeros(round(self.duration_s * rate_hz), np.float32)
        self.play(track_N, rng, rate_hz=rate_hz)
        return finish(track_N, rng)


def mixed(colour: Colour, other: Colour, part: float) -> Colour:
    """`colour` with this part of `other` in it."""
    red, green, blue = (c + part * (o - c) for c, o in zip(colour, other, strict=True))
    return (red, green, blue)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two bounds, even over its logarithm: what pitch asks for."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _shifted(colour: Colour, shift: np.ndarray) -> Colour:
    red, green, blue = (float(np.clip(c + s, 0.0, 1.0)) for c, s in zip(colour, shift, strict=True))
    return (red, green, blue)


WHITE: Colour = (0.97, 0.97, 0.97)
BLACK: Colour = (0.0, 0.0, 0.0)
STEEL: Colour = (0.55, 0.57, 0.60)
