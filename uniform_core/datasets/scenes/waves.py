"""Waves that roll in and break on a beach; the noise follows the water."""

from __future__ import annotations

import numpy as np

from uniform_core.datasets.scenes.base import COLOURS, SIZES, WHITE, Scene, log_uniform, mixed
from uniform_core.datasets.scenes.canvas import Canvas, Colour
from uniform_core.datasets.scenes.sound import noise_band, place, times

_SEA_Y = 0.66
_BREAK_X = 0.66
_ROLL_S = 2.0  # a wave is painted from here on before it breaks: it is out of the picture then, and does not pop up
_FOAM_S = 1.0
_SKY: Colour = (0.44, 0.47, 0.52)
_SAND: Colour = (0.60, 0.54, 0.44)


class Waves(Scene):
    """Events are the moments at which a wave begins to break."""

    label = "waves"
    template = "{size} {colour} waves breaking on the shore"
    choices = {"colour": tuple(COLOURS), "size": SIZES}
    period_s = (0.55, 1.00)
    jitter = 0.20

    def draw(self, rng: np.random.Generator) -> None:
        large = self.attributes["size"] == "large"
        self._height = (0.36 if large else 0.16) * rng.uniform(0.93, 1.07)
        self._width = 0.12 if large else 0.10
        self._ripple_phase = rng.uniform(0, 6.28)
        self._centre_hz = log_uniform(rng, 600, 900) if large else log_uniform(rng, 1800, 2600)
        shade = rng.uniform(-0.06, 0.06)
        self.backdrop_top = mixed(_SKY, WHITE, 0.1 + shade)
        self.backdrop_bottom = mixed(_SKY, WHITE, 0.3 + shade)

    def paint(self, canvas: Canvas, times_T: np.ndarray) -> None:
        x_W = canvas.columns()[None, :]
        t_T = times_T[:, None]
        surface_TW = _SEA_Y + 0.015 * np.sin(2 * np.pi * (2.0 * x_W - 0.7 * t_T) + self._ripple_phase)
        for _, time_s, strength in self.events.between(times_T[0] - _FOAM_S, times_T[-1] + _ROLL_S):
            age_T = t_T - time_s
            crest_x_T = _BREAK_X + 0.85 * np.minimum(age_T, 0.0) + 0.15 * np.maximum(age_T, 0.0)
            rise_T = np.where(age_T < 0, np.exp(age_T / 0.45), np.exp(-age_T / 0.16))
            lift = strength * self._height
            surface_TW = surface_TW - lift * rise_T * np.exp(-(((x_W - crest_x_T) / self._width) ** 2) / 2)
        canvas.below(surface_TW - 0.012, mixed(self.colour, WHITE, 0.35))
        canvas.below(surface_TW + 0.028, self.colour)
        canvas.below(0.98 - 0.95 * np.maximum(0.0, x_W - 0.62), _SAND)
        self._paint_foam(canvas, times_T)

    def _paint_foam(self, canvas: Canvas, times_T: np.ndarray) -> None:
        for _, time_s, strength in self.events.between(times_T[0] - _FOAM_S, times_T[-1]):
            shown = np.flatnonzero((times_T >= time_s) & (times_T < time_s + _FOAM_S))
            age_T = times_T[shown] - time_s
            run_T = 1 - np.exp(-age_T / 0.2)
            size = strength * (0.8 + 1.0 * self._height)
            canvas.part(shown).disc(
                _BREAK_X + 0.16 * run_T,
                _SEA_Y - 0.02,
                size * (0.13 + 0.13 * run_T),
                flat=0.55,
                colour=WHITE,
                strength=np.minimum(1.0, 1.1 * np.exp(-age_T / 0.26)),
                soft=0.10,
            )

    def play(self, track_N: np.ndarray, rng: np.random.Generator, *, rate_hz: int) -> None:
        crash_s = 1.1
        t_N = times(crash_s, rate_hz)
        swell_N = np.minimum(t_N / 0.015, 1.0) * np.exp(-t_N / 0.20)
        for _, time_s, strength in self.audible():
            wash_N = noise_band(rng, centre_hz=self._centre_hz, octaves=0.8, seconds=crash_s, rate_hz=rate_hz)
            place(track_N, 0.3 * wash_N * swell_N, time_s=time_s, gain=0.8 * strength, rate_hz=rate_hz)
