"""Where the timestamps of a file start again: two films behind each other, or a clock that was set back.

The timeline ends there. What follows could only be placed by a guess, which may differ for picture and sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uniform_core.media.refusal import Refused

MAX_BACK_S = 0.5
"""What reorders or rounds timestamps stays below this; what goes back further is another recording."""

Kind = Literal["picture", "sound"]


@dataclass(frozen=True)
class Restart:
    """The timestamps of a stream go back from `before_s` to `again_s`, seconds on the container's clock."""

    kind: Kind
    before_s: float
    again_s: float

    def refusal(self, zero_s: float) -> Refused:
        """Why nothing is made of the rest of the file, in times on its timeline, which begins at `zero_s`."""
        before_s, again_s = self.before_s - zero_s, self.again_s - zero_s
        found = f"those of the {self.kind} start again at {again_s:.3f} s after {before_s:.3f} s"
        left_out = "windows that end later, and the file from there on, are left out"
        return Refused("bad_timestamps", f"timestamps that go forward expected, {found}: {left_out}")


class Clocks:
    """The latest moment of picture and of sound, and whether the timeline that they share has come to its end."""

    def __init__(self, *, picture: bool, sound: bool) -> None:
        self._running: set[Kind] = set()
        if picture:
            self._running.add("picture")
        if sound:
            self._running.add("sound")
        self._latest_s: dict[Kind, float] = {}
        self.restart: Restart | None = None  # the first one

    def latest_s(self, kind: Kind) -> float | None:
        """The latest moment so far, None before the first."""
        return self._latest_s.get(kind)

    def takes(self, kind: Kind, time_s: float) -> bool:
        """Whether a piece lies on the timeline; from where its stream starts again, none does."""
        if kind not in self._running:
            return False
        latest_s = self._latest_s.get(kind, time_s)
        if time_s < latest_s - MAX_BACK_S:
            self._running.discard(kind)
            self.restart = self.restart or Restart(kind, latest_s, time_s)
            return False
        self._latest_s[kind] = max(latest_s, time_s)
        return True

    @property
    def ended(self) -> bool:
        """Whether one stream has started again, and every other one too or has come past that moment."""
        if self.restart is None:
            return False
        end_s = self.restart.before_s + MAX_BACK_S
        return all(self._latest_s.get(kind, end_s) > end_s for kind in self._running)
