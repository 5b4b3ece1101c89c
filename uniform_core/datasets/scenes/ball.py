"""A ball that bounces: it pings when it hits the floor, deep where it is large."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from typing_extensions import override

from uniform_core.datasets.scenes.base import BLACK, COLOURS, SIZES, STEEL, WHITE, Scene, log_uniform, mixed
from uniform_core.datasets.scenes.canvas import Canvas
from uniform_core.datasets.scenes.sound import place, struck

_FLOOR_Y = 0.86
_BAR_PARTIALS = ((1.0, 1.0), (2.76, 0.35), (5.4, 0.12))  # a free bar: wood and glass ring like this


class BouncingBall(Scene):
    """Events are the impacts. Between two of them the ball is in free fall, so a longer wait is a higher bounce."""

    label = "bouncing_ball"
    template = "a {size} {colour} ball bouncing on the floor"
    choices = {"colour": tuple(COLOURS), "size": SIZES}
    period_s = (0.40, 0.85)
    jitter = 0.22

    @classmethod
    def tied(cls, attributes: Mapping[str, str]) -> Mapping[str, str]:
        return {"pitch": "low" if attributes["size"] == "large" else "high"}

    def draw(self, rng: np.random.Generator) -> None:
        large = self.attributes["size"] == "large"
        self._radius = (0.19 if large else 0.10) * rng.uniform(0.93, 1.07)
        self._reach = (0.44 if large else 0.62) * rng.uniform(0.9, 1.0)
        self._sway, self._sway_s, self._sway_phase = (
            rng.uniform(0.05, 0.22),
            rng.uniform(2.5, 5.0),
            rng.uniform(0, 6.28),
        )
        self._pitch_hz = log_uniform(rng, 260, 400) if large else log_uniform(rng, 1000, 1600)
        self._decay_s = 0.11 if large else 0.08
        self._floor = mixed(STEEL, BLACK, rng.uniform(0.25, 0.5))

    def paint(self, canvas: Canvas, times_T: np.ndarray) -> None:
        index_T = self.events.index(times_T)
        gap_T = self.events.times_E[index_T + 1] - self.events.times_E[index_T]
        phase_T = (times_T - self.events.times_E[index_T]) / gap_T
        longest_s = self.period_s[1] * (1 + self.jitter)
        height_T = self._reach * (0.25 + 0.75 * (gap_T / longest_s) ** 2) * 4 * phase_T * (1 - phase_T)
        squash_T = 0.24 * np.exp(-self.events.nearest_s(times_T) / 0.045)
        x_T = 0.5 + self._sway * np.sin(2 * np.pi * times_T / self._sway_s + self._sway_phase)
        y_T = _FLOOR_Y - self._radius * (1 - squash_T) - height_T
        r = self._radius

        canvas.below(np.full((1, len(canvas.columns())), _FLOOR_Y - 0.04), self._floor)
        near_T = 1 - np.clip(height_T / 0.7, 0, 1)
        canvas.disc(
            x_T, _FLOOR_Y, r * (0.7 + 0.35 * near_T), flat=0.25, colour=BLACK, strength=0.55 * near_T, soft=0.06
        )
        flat_T = (1 - squash_T) / (1 + squash_T)
        wide_T = r * (1 + squash_T)
        canvas.disc(x_T, y_T, wide_T, flat=flat_T, colour=mixed(self.colour, BLACK, 0.28))
        canvas.disc(x_T - 0.12 * r, y_T - 0.14 * r, 0.80 * wide_T, flat=flat_T, colour=self.colour, soft=0.5 * r)
        canvas.disc(x_T - 0.35 * r, y_T - 0.40 * r, 0.22 * r, colour=WHITE, strength=0.7, soft=0.35 * r)

    @override
    def play(self, track_N: np.ndarray, rng: np.random.Generator, *, rate_hz: int) -> None:
        ping_N = struck(self._pitch_hz, decay_s=self._decay_s, rate_hz=rate_hz, partials=_BAR_PARTIALS)
        for _, time_s, strength in self.audible():
            place(track_N, ping_N, time_s=time_s, gain=0.6 * strength, rate_hz=rate_hz)
