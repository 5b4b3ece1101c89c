"""How many errors a file may make before it is given up: FFmpeg can return the same error for ever."""

from __future__ import annotations

from typing import Literal

from uniform_core.media.forms import Limits
from uniform_core.media.refusal import Refused

StreamKind = Literal["video", "audio"]
SAID: dict[StreamKind, str] = {"video": "picture", "audio": "sound"}


class ErrorBudget:
    """Counts of lost packets and damaged pictures, of both streams together; the last error of each in words.

    A packet of either stream that decodes ends a row of errors: the file is then no dead end, and later windows of a
    film whose picture is lost for some seconds may still be whole.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_a_row = 0
        self.total = 0
        self._last: dict[StreamKind, str] = {}
        self._last_of_container = "no error"

    def last(self, kind: StreamKind) -> str:
        """The last error of a stream; where it has none of its own, that of the container."""
        return self._last.get(kind, self._last_of_container)

    def packet_read(self) -> None:
        self._in_a_row = 0

    def picture_damaged(self) -> None:
        """A picture came, but the decoder says that it concealed something."""
        self.total += 1
        self._last["video"] = "a damaged picture"

    def packet_failed(self, kind: StreamKind, message: str) -> None:
        """Raises Refused when the file has used up its budget."""
        self.total += 1
        self._in_a_row += 1
        self._last[kind] = message
        if self.total > self._limits.max_errors or self._in_a_row > self._limits.max_errors_in_a_row:
            raise Refused("undecodable", f"{self.total} packets do not decode, the last of the {SAID[kind]}: {message}")

    def demux_failed(self, message: str) -> bool:
        """Whether to read on after an error of the container."""
        self.total += 1
        self._in_a_row += 1
        self._last_of_container = message
        return self.total <= self._limits.max_errors and self._in_a_row <= self._limits.max_errors_in_a_row
