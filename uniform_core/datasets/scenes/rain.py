"""Drops that fall into water, each with a splash and a plink."""

from __future__ import annotations

import numpy as np

from uniform_core.datasets.scenes.base import BLACK, COLOURS, PITCHES, SIZES, WHITE, Scene, log_uniform, mixed
from uniform_core.datasets.scenes.canvas import Canvas
from uniform_core.datasets.scenes.sound import burst, chirp, place

_WATER_Y = 0.78
_FALL_PER_S = 1.6
_FALL_S = 0.6  # from above the picture to the water
_RIPPLE_S = 0.7


class Rain(Scene):
    """Events are the splashes. Drops come at uneven times and places."""

    label = "rain"
    template = "{size} {colour} rain drops splashing with {pitch} plinks"
    choices = {"colour": tuple(COLOURS), "size": SIZES, "pitch": PITCHES}
    period_s = (0.34, 0.70)
    jitter = 0.45

    def draw(self, rng: np.random.Generator) -> None:
        large = self.attributes["size"] == "large"
        self._radius = (0.125 if large else 0.075) * rng.uniform(0.94, 1.06)
        self._x_E = 0.5 + 0.34 * np.sin(rng.uniform(0, 6.28) + 2.4 * np.arange(len(self.events.times_E)))
        self._pitch_hz = (
            log_uniform(rng, 380, 560) if self.attributes["pitch"] == "low" else log_uniform(rng, 1600, 2400)
        )
        self._water = mixed(self.colour, BLACK, 0.62)

    def paint(self, canvas: Canvas, times_T: np.ndarray) -> None:
        canvas.below(np.full((1, len(canvas.columns())), _WATER_Y), self._water)
        canvas.bar(0.0, 1.0, _WATER_Y - 0.012, _WATER_Y + 0.012, colour=self.colour, strength=0.6)
        for number, time_s, strength in self.events.between(times_T[0] - _RIPPLE_S, times_T[-1] + _FALL_S):
            x = float(self._x_E[number])
            falling = np.flatnonzero((times_T > time_s - _FALL_S) & (times_T < time_s))
            if len(falling):
                self._paint_drop(canvas.part(falling), times_T[falling] - time_s, x)
            splashing = np.flatnonzero((times_T >= time_s) & (times_T < time_s + _RIPPLE_S))
            if len(splashing):
                self._paint_splash(canvas.part(splashing), times_T[splashing] - time_s, x, strength)

    def _paint_drop(self, canvas: Canvas, age_T: np.ndarray, x: float) -> None:
        r = self._radius
        y_T = _WATER_Y + _FALL_PER_S * age_T
        for up, size in ((1.75, 0.28), (1.25, 0.52), (0.65, 0.78), (0.0, 1.0)):  # a tear, drawn out upwards
            canvas.disc(x, y_T - up * r, size * r, colour=self.colour)
        canvas.disc(x - 0.3 * r, y_T - 0.2 * r, 0.3 * r, colour=WHITE, strength=0.6, soft=0.4 * r)

    def _paint_splash(self, canvas: Canvas, age_T: np.ndarray, x: float, strength: float) -> None:
        grown_T = 1 - np.exp(-age_T / 0.25)
        fade_T = np.exp(-age_T / 0.20)
        light = mixed(self.colour, WHITE, 0.55)
        wide_T = self._radius * (0.9 + 1.8 * grown_T)
        canvas.ring(x, _WATER_Y + 0.07, wide_T, width=0.05, flat=0.32, colour=light, strength=fade_T)
        canvas.disc(x, _WATER_Y, 1.5 * self._radius, flat=0.6, colour=light, strength=np.exp(-age_T / 0.08), soft=0.05)
        for side in (-1.0, 1.0):
            hop_T = strength * (1.9 * age_T - 5.0 * age_T**2)
            canvas.disc(
                x + side * (0.4 * self._radius + 0.45 * age_T),
                _WATER_Y - np.maximum(hop_T, 0.0),
                0.6 * self._radius,
                colour=light,
                strength=np.where(hop_T > -0.02, fade_T, 0.0),
            )

    def play(self, track_N: np.ndarray, rng: np.random.Generator, *, rate_hz: int) -> None:
        for _, time_s, strength in self.audible():
            pitch_hz = self._pitch_hz * rng.uniform(0.94, 1.06)
            plink_N = chirp(0.75 * pitch_hz, pitch_hz, decay_s=0.075, rate_hz=rate_hz)
            spray_N = burst(rng, centre_hz=4500, octaves=0.5, decay_s=0.03, rate_hz=rate_hz)
            place(track_N, plink_N, time_s=time_s, gain=0.55 * strength, rate_hz=rate_hz)
            place(track_N, spray_N, time_s=time_s, gain=0.22 * strength, rate_hz=rate_hz)
