"""A wheel that turns, and an engine that puffs once a turn."""

from __future__ import annotations

import numpy as np

from uniform_core.datasets.scenes.base import BLACK, COLOURS, PITCHES, SIZES, STEEL, WHITE, Scene, log_uniform, mixed
from uniform_core.datasets.scenes.canvas import Canvas
from uniform_core.datasets.scenes.sound import burst, place

_CHIMNEY_X = 0.82
_PUFF_LIFE_S = 1.0


class Engine(Scene):
    """Events are the puffs; at each the crank of the wheel is on top."""

    label = "engine"
    template = "a {size} {colour} wheel turning with {pitch} puffs"
    choices = {"colour": tuple(COLOURS), "size": SIZES, "pitch": PITCHES}
    period_s = (0.40, 0.85)
    jitter = 0.12

    def draw(self, rng: np.random.Generator) -> None:
        large = self.attributes["size"] == "large"
        self._radius = (0.30 if large else 0.19) * rng.uniform(0.94, 1.06)
        self._x, self._y = 0.36 + rng.uniform(-0.02, 0.02), 0.84 - self._radius
        self._spin = float(rng.choice((-1.0, 1.0)))
        self._centre_hz = (
            log_uniform(rng, 240, 340) if self.attributes["pitch"] == "low" else log_uniform(rng, 1700, 2500)
        )
        self._floor = mixed(STEEL, BLACK, rng.uniform(0.4, 0.6))

    def paint(self, canvas: Canvas, times_T: np.ndarray) -> None:
        canvas.below(np.full((1, len(canvas.columns())), 0.86), self._floor)
        self._paint_puffs(canvas, times_T)
        canvas.bar(_CHIMNEY_X - 0.055, _CHIMNEY_X + 0.055, 0.56, 0.86, colour=mixed(STEEL, BLACK, 0.15))
        canvas.bar(_CHIMNEY_X - 0.08, _CHIMNEY_X + 0.08, 0.53, 0.58, colour=STEEL)

        angle_T = self._spin * 2 * np.pi * self.events.turns(times_T) - np.pi / 2
        r = self._radius
        canvas.disc(self._x, self._y, r, colour=self.colour)
        canvas.disc(self._x, self._y, 0.80 * r, colour=mixed(self.colour, BLACK, 0.42))
        for spoke in (0.0, np.pi / 2):
            d_x_T, d_y_T = 0.82 * r * np.cos(angle_T + spoke), 0.82 * r * np.sin(angle_T + spoke)
            canvas.rod(
                self._x - d_x_T, self._y - d_y_T, self._x + d_x_T, self._y + d_y_T, width=0.24 * r, colour=self.colour
            )
        canvas.disc(self._x + 0.62 * r * np.cos(angle_T), self._y + 0.62 * r * np.sin(angle_T), 0.30 * r, colour=WHITE)
        canvas.disc(self._x, self._y, 0.2 * r, colour=STEEL)

    def _paint_puffs(self, canvas: Canvas, times_T: np.ndarray) -> None:
        for _, time_s, strength in self.events.between(times_T[0] - _PUFF_LIFE_S, times_T[-1]):
            shown = np.flatnonzero((times_T >= time_s) & (times_T < time_s + _PUFF_LIFE_S))
            age_T = times_T[shown] - time_s
            rise_T = 1 - np.exp(-age_T / 0.35)
            part = canvas.part(shown)
            part.disc(
                _CHIMNEY_X - 0.10 * rise_T,
                0.50 - 0.42 * rise_T,
                strength * (0.09 + 0.09 * rise_T),
                colour=WHITE,
                strength=0.95 * np.exp(-age_T / 0.32),
                soft=0.07,
            )

    def play(self, track_N: np.ndarray, rng: np.random.Generator, *, rate_hz: int) -> None:
        for _, time_s, strength in self.audible():
            puff_N = burst(rng, centre_hz=self._centre_hz, octaves=0.35, decay_s=0.10, rate_hz=rate_hz)
            place(track_N, puff_N, time_s=time_s, gain=0.75 * strength, rate_hz=rate_hz)
