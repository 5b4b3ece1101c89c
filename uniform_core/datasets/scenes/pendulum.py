"""A pendulum that ticks whenever it passes its lowest point."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from uniform_core.datasets.scenes.base import BLACK, COLOURS, PITCHES, SIZES, WHITE, Scene, log_uniform, mixed
from uniform_core.datasets.scenes.canvas import Canvas, Colour
from uniform_core.datasets.scenes.events import decay
from uniform_core.datasets.scenes.sound import place, struck

_PIVOT = (0.5, 0.10)
_BRASS: Colour = (0.72, 0.66, 0.55)
_WOOD_PARTIALS = ((1.0, 1.0), (1.9, 0.4), (3.1, 0.15))


class Pendulum(Scene):
    """Events are the passages of the lowest point, in turn from the left and from the right."""

    label = "pendulum"
    template = "a {size} {colour} pendulum swinging with {pitch} ticks"
    choices = {"colour": tuple(COLOURS), "size": SIZES, "pitch": PITCHES}
    period_s = (0.38, 0.80)
    jitter = 0.08

    def draw(self, rng: np.random.Generator) -> None:
        large = self.attributes["size"] == "large"
        self._radius = (0.165 if large else 0.095) * rng.uniform(0.94, 1.06)
        self._length = rng.uniform(0.56, 0.62) - (0.05 if large else 0.0)
        self._swing_rad = rng.uniform(0.50, 0.68) * (0.85 if large else 1.0)
        self._side = float(rng.choice((-1.0, 1.0)))
        self._pitch_hz = (
            log_uniform(rng, 330, 480) if self.attributes["pitch"] == "low" else log_uniform(rng, 1500, 2200)
        )

    def paint(self, canvas: Canvas, times_T: np.ndarray) -> None:
        angle_T = self._side * self._swing_rad * np.sin(np.pi * self.events.turns(times_T))
        x_T = _PIVOT[0] + self._length * np.sin(angle_T)
        y_T = _PIVOT[1] + self._length * np.cos(angle_T)
        flash_T = decay(self.events.age_s(times_T), 0.10)

        canvas.disc(0.5, 0.95, 0.09, flat=0.5, colour=mixed(_BRASS, BLACK, 0.55))
        canvas.disc(0.5, 0.95, 0.09, flat=0.5, colour=WHITE, strength=flash_T)
        canvas.disc(0.5, 0.95, 0.05, colour=WHITE, strength=0.35 * flash_T, soft=0.18, light=True)
        canvas.rod(_PIVOT[0], _PIVOT[1], x_T, y_T, width=0.045, colour=_BRASS)
        canvas.disc(_PIVOT[0], _PIVOT[1], 0.05, colour=mixed(_BRASS, WHITE, 0.2))
        r = self._radius
        canvas.disc(x_T, y_T, r, colour=mixed(self.colour, BLACK, 0.28))
        canvas.disc(x_T - 0.1 * r, y_T - 0.12 * r, 0.80 * r, colour=self.colour, soft=0.5 * r)
        canvas.disc(x_T - 0.32 * r, y_T - 0.36 * r, 0.2 * r, colour=WHITE, strength=0.6, soft=0.35 * r)

    @override
    def play(self, track_N: np.ndarray, rng: np.random.Generator, *, rate_hz: int) -> None:
        tick, tock = (
            struck(self._pitch_hz * ratio, decay_s=0.05, rate_hz=rate_hz, partials=_WOOD_PARTIALS)
            for ratio in (1.0, 0.9)
        )
        for number, time_s, _ in self.audible():
            place(track_N, tock if number % 2 else tick, time_s=time_s, gain=0.6, rate_hz=rate_hz)
