"""The way of one file's frames to those who look at them, by one loading rule, as the frames come.

What is held is bounded: a window where there is one, else a frame or two. Axes: H height, W width.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from uniform_core.errors import Rejection
from uniform_core.metrics.loading import Loading, VideoLoading
from uniform_core.metrics.motion import MovementRange
from uniform_core.seeds import numpy_rng

See = Callable[[np.ndarray], None]
"""Takes one RGB uint8 frame [H, W, 3]."""


class FrameFeed:
    """Frames of one file through one rule: its part, its rate, its size, its window. Then they are seen.

    `rate_hz` is what the container says; `content` names the file for the place of a random window.
    """

    def __init__(self, loading: Loading, *, rate_hz: float | None, content: str, see: See) -> None:
        assert loading.video is not None, "who looks at pictures has a rule for them"
        self._loading, self._rule, self._see_next = loading, loading.video, see
        self._source_hz = rate_hz
        self._rates = _rates(loading.video, rate_hz)
        self._window = _Window(loading.video, content=content)
        self._movement = MovementRange()
        self._seen = 0

    @property
    def rate_hz(self) -> float | None:
        """The rate of the frames that are seen; None where the container says none."""
        return float(self._rule.rate_hz) if self._rule.rate_hz is not None else self._source_hz

    @property
    def movement(self) -> float:
        """How much the frames that were seen move (`MovementRange`)."""
        return self._movement.value

    @property
    def wants_more(self) -> bool:
        """Whether later frames can change what is seen."""
        return self._rates is not None and not self._window.is_complete

    def take(self, frame_HW3: np.ndarray, time_s: float) -> None:
        """The next frame of the file, `time_s` after its first picture."""
        loading = self._loading
        end_s = math.inf if loading.window_s is None else loading.start_s + loading.window_s
        if self._rates is None or not loading.start_s - 1e-6 <= time_s < end_s - 1e-6:
            return
        for kept_HW3 in self._rates.take(frame_HW3):
            if self.wants_more:
                self._pass_on(self._window.take(resized(kept_HW3, self._rule)))

    def finish(self) -> Rejection | None:
        """The file has ended. Why nothing of it can be seen; None where all is well."""
        if self._rates is None:
            return Rejection("no_rate", "a frame rate expected, the container says none")
        self._pass_on(self._window.rest())
        wanted = self._rule.window_frames
        if wanted is not None and self._seen < wanted:
            return Rejection("too_short", f"{wanted} frames expected, {self._window.count} found")
        return (
            None if self._seen else Rejection("too_short", "a frame expected in the part that is looked at, none found")
        )

    def _pass_on(self, frames: list[np.ndarray]) -> None:
        for frame_HW3 in frames:
            self._seen += 1
            self._movement.see(frame_HW3)
            self._see_next(frame_HW3)


def resized(frame_HW3: np.ndarray, rule: VideoLoading) -> np.ndarray:
    """A frame at the size of a streamed rule."""
    import cv2  # here: protocols are listed without it

    if rule.resize == "none":
        return frame_HW3
    if rule.resize == "pad":
        from uniform_core.metrics.published.frames import mm_diffusion_frames

        assert rule.height_px is not None, "validated"
        return np.asarray(mm_diffusion_frames(frame_HW3[None], side_px=rule.height_px)[0])
    size_WH = _size_of(frame_HW3.shape[0], frame_HW3.shape[1], rule)
    method = cv2.INTER_AREA if rule.interpolation == "area" else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame_HW3, size_WH, interpolation=method))


def _size_of(height: int, width: int, rule: VideoLoading) -> tuple[int, int]:
    """Width and height of a frame that is squashed, or whose short side is given; the long one is cut to whole px."""
    if rule.short_side_px is None:
        assert rule.width_px is not None, "validated"
        assert rule.height_px is not None, "validated"
        return rule.width_px, rule.height_px
    short = rule.short_side_px
    return (short, height * short // width) if width <= height else (width * short // height, short)


class _Every:
    """Frames at the file's own rate."""

    def take(self, frame_HW3: np.ndarray) -> Iterator[np.ndarray]:
        yield frame_HW3


class _FloorIndex:
    """Frame floor(i · step) for i = 0, 1, …: as many as the frames so far are worth, whole ones only.

    Where the step is a whole number every step-th frame is taken, also a last one whose span is not whole.
    Source: torchvision 0.29, VideoClips.
    """

    def __init__(self, source_hz: float, rate_hz: int) -> None:
        self._source_hz, self._rate_hz, self._step = source_hz, rate_hz, source_hz / rate_hz
        self._read = self._found = self._given = 0
        self._waiting: deque[np.ndarray] = deque()

    def take(self, frame_HW3: np.ndarray) -> Iterator[np.ndarray]:
        while math.floor(self._found * self._step) == self._read:
            self._waiting.append(frame_HW3)
            self._found += 1
        self._read += 1
        worth = math.floor(self._read * self._rate_hz / self._source_hz)
        whole = self._found if self._step.is_integer() else worth
        while self._waiting and self._given < whole:
            self._given += 1
            yield self._waiting.popleft()


def _rates(rule: VideoLoading, source_hz: float | None) -> _Every | _FloorIndex | None:
    """How the rate is changed; None where it would have to be and is not known."""
    if rule.rate_hz is None:
        return _Every()
    return None if source_hz is None else _FloorIndex(source_hz, rule.rate_hz)


class _Window:
    """So many consecutive frames: the first, or those of a random place; without a window all pass.

    Every place is as likely, though their number is known only at the end: the k-th replaces the one that is held with
    probability 1 / k. The place depends on the seed, the file's content and the number of its frames.
    """

    def __init__(self, rule: VideoLoading, *, content: str) -> None:
        self._wanted, self._is_random = rule.window_frames, rule.window == "random"
        self._random = numpy_rng("metrics.window", rule.window_seed, content)
        self._last: deque[np.ndarray] = deque(maxlen=rule.window_frames or 1)
        self._held: list[np.ndarray] = []
        self._places = 0
        self.count = 0

    @property
    def is_complete(self) -> bool:
        return self._wanted is not None and not self._is_random and self.count >= self._wanted

    def take(self, frame_HW3: np.ndarray) -> list[np.ndarray]:
        """The frames that can be passed on now."""
        self.count += 1
        if not self._is_random:
            return [frame_HW3]
        self._last.append(frame_HW3)
        if len(self._last) == self._wanted:
            self._places += 1
            if self._random.integers(self._places) == 0:
                self._held = list(self._last)
        return []

    def rest(self) -> list[np.ndarray]:
        """The frames that waited for the end."""
        held, self._held = self._held, []
        return held
