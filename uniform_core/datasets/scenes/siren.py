"""A two-lamp warning light: left and right flash in turn, each with its own tone."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from uniform_core.datasets.scenes.base import BLACK, COLOURS, PITCHES, STEEL, WHITE, Scene, log_uniform, mixed
from uniform_core.datasets.scenes.canvas import Canvas
from uniform_core.datasets.scenes.events import decay
from uniform_core.datasets.scenes.sound import place, struck

_LAMPS_X = (0.27, 0.73)
_LAMP_Y = 0.48
_PIPE_PARTIALS = ((1.0, 1.0), (2.0, 0.4), (3.0, 0.2))


class Siren(Scene):
    """Events are the changes from one lamp to the other. The left lamp has the lower tone."""

    label = "siren"
    template = "a {colour} warning light flashing with {pitch} tones"
    choices = {"colour": tuple(COLOURS), "pitch": PITCHES}
    period_s = (0.32, 0.75)
    jitter = 0.15

    def draw(self, rng: np.random.Generator) -> None:
        self._radius = rng.uniform(0.15, 0.18)
        self._first = int(rng.integers(2))
        tone_hz = log_uniform(rng, 330, 460) if self.attributes["pitch"] == "low" else log_uniform(rng, 1000, 1400)
        self._tones_hz = (tone_hz, tone_hz * rng.uniform(1.26, 1.42))

    def paint(self, canvas: Canvas, times_T: np.ndarray) -> None:
        side_T = (self.events.index(times_T) + self._first) % 2
        shine_T = 0.35 + 0.65 * decay(self.events.age_s(times_T), 0.28)
        case = mixed(STEEL, BLACK, 0.45)
        canvas.bar(0.08, 0.92, 0.66, 0.76, colour=case)
        canvas.bar(0.16, 0.84, 0.76, 0.80, colour=mixed(case, BLACK, 0.4))
        for side, x in enumerate(_LAMPS_X):
            on_T = np.where(side_T == side, shine_T, 0.0)
            canvas.disc(x, _LAMP_Y, 0.20, colour=self.colour, strength=0.75 * on_T, soft=0.38, light=True)
            canvas.bar(
                x - self._radius * 0.8, x + self._radius * 0.8, _LAMP_Y, 0.66, colour=mixed(self.colour, BLACK, 0.6)
            )
            canvas.disc(x, _LAMP_Y, self._radius, colour=mixed(self.colour, BLACK, 0.72))
            canvas.disc(x, _LAMP_Y, self._radius, colour=self.colour, strength=on_T)
            canvas.disc(x, _LAMP_Y, 0.45 * self._radius, colour=WHITE, strength=0.8 * on_T, soft=0.6 * self._radius)

    @override
    def play(self, track_N: np.ndarray, rng: np.random.Generator, *, rate_hz: int) -> None:
        notes = [struck(tone_hz, decay_s=0.22, rate_hz=rate_hz, partials=_PIPE_PARTIALS) for tone_hz in self._tones_hz]
        for number, time_s, _ in self.audible():
            end_s = float(self.events.times_E[number + 1])
            note_N = notes[(number + self._first) % 2][: round((end_s - time_s) * rate_hz)].copy()
            fade = min(len(note_N), rate_hz // 50)
            note_N[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)  # one tone stops where the other begins
            place(track_N, note_N, time_s=time_s, gain=0.55, rate_hz=rate_hz)
