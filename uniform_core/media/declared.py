"""What a container declares of its end, and whether the file holds it."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

SAME_S = 1e-3
MAX_BOXES = 10_000


@dataclass(frozen=True)
class DeclaredEnd:
    """Where the container says that its streams end, by "picture" and "sound", on its own clock (seconds).

    `by_stream` where it counts each by itself. Else it says one end, which is that of the longer stream: the shorter
    one may end before in a whole file. `slack_s` is by how much a whole file may end before its declared end.
    """

    ends_s: Mapping[str, float]
    by_stream: bool
    slack_s: float

    @classmethod
    def of(cls, spans_s: Mapping[str, tuple[float, float]], *, container_name: str) -> DeclaredEnd:
        """Of the (start, length) it names: mov counts every sample, others estimate, or give all streams one length."""
        counts = container_name.startswith("mov")
        lengths_s = [length_s for _, length_s in spans_s.values()]
        apart = max(lengths_s) - min(lengths_s) > SAME_S
        ends_s = {name: start_s + length_s for name, (start_s, length_s) in spans_s.items()}
        return cls(ends_s, by_stream=counts or apart, slack_s=0.1 if counts else 1.0)

    @property
    def both_s(self) -> float:
        """Until when both streams go on, as far as the container says."""
        return min(self.ends_s.values())

    def is_missed_by(self, *, picture_s: float, sound_s: float) -> bool:
        """Whether a file whose streams end at these moments was cut short."""
        found_s = {"picture": picture_s, "sound": sound_s}
        if not self.by_stream:
            return max(found_s.values()) + self.slack_s < self.both_s
        return any(found_s[name] + self.slack_s < end_s for name, end_s in self.ends_s.items())


def is_cut_inside_a_box(file: IO[bytes]) -> bool:
    """Whether a file of the mov family ends inside one of its outermost boxes; the file's position moves."""
    end = file.seek(0, os.SEEK_END)
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return at > end
        file.seek(at)
        size = int.from_bytes(file.read(4))
        if size == 1:  # its size stands behind its name
            file.seek(at + 8)
            (size,) = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))
        if size < 8:  # 0: until the end of the file; less is no box
            return False
        at += size
    return False
